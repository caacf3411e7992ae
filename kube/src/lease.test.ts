// The heartbeat as its reader sees it: a Lease that changes every few minutes for as long as the writer lives.
import { expect, onTestFinished, test } from 'vitest';
import { LeaseHeartbeat, leases } from './lease.ts';
import { connectTo, startServer } from './test-support.ts';
import { ManualClock, type VirtualServer, until } from './virtual/index.ts';

const name = { namespace: 'system', name: 'node-a' };
const owner = { apiVersion: 'v1', kind: 'Node', name: 'node-a', uid: 'u-1' };

async function rig(): Promise<{
  server: VirtualServer;
  clock: ManualClock;
  heartbeat: LeaseHeartbeat;
  errors: unknown[];
}> {
  const server = await startServer();
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const heartbeat = new LeaseHeartbeat({
    api: connectTo(server),
    lease: name,
    fieldManager: 'agent',
    holderIdentity: 'node-a',
    labels: { app: 'agent' },
    ownerReferences: [owner],
    onError: (error) => errors.push(error),
    clock,
  });
  onTestFinished(() => heartbeat.stop());
  return { server, clock, heartbeat, errors };
}

test('it beats at once and then every five minutes give or take a fifth', async () => {
  const { server, clock, heartbeat } = await rig();
  heartbeat.start();
  heartbeat.start();
  const renewTimes = new Set<string | undefined>();
  for (let beats = 1; beats <= 5; beats++) {
    const wait = await clock.skip();
    expect(wait).toBeGreaterThanOrEqual(240_000);
    expect(wait).toBeLessThanOrEqual(360_000);
    await until(() => clock.waiting === 1);
    expect(server.requests).toHaveLength(beats + 1);
    renewTimes.add(server.store.get(leases, name).spec?.renewTime);
  }
  expect(renewTimes.size).toBe(5);
  expect(server.store.get(leases, name)).toMatchObject({
    metadata: { labels: { app: 'agent' }, ownerReferences: [owner] },
    spec: { holderIdentity: 'node-a', leaseDurationSeconds: 900 },
  });
});

test('a beat that fails is tried again soon, and told', async () => {
  const { server, clock, heartbeat, errors } = await rig();
  server.fail({ status: 500 }, { times: 2 });
  heartbeat.start();
  expect(await clock.skip()).toBeLessThanOrEqual(1_000);
  expect(await clock.skip()).toBeLessThanOrEqual(2_000);
  await until(() => server.requests.length === 3 && clock.waiting === 1);
  expect(errors).toHaveLength(2);
  expect(server.store.get(leases, name).spec?.holderIdentity).toBe('node-a');
});

test('stopped, it leaves nothing behind, not even while a beat is unanswered', async () => {
  const { server, clock, heartbeat, errors } = await rig();
  server.fail('silence');
  heartbeat.start();
  await until(() => server.requests.length === 1);
  await heartbeat.stop();
  await heartbeat.stop();
  expect([clock.waiting, errors]).toEqual([0, []]);
});
