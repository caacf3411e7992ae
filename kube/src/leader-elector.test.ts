// Who leads, and how soon another one does when the leader dies, leaves, hangs or loses the network.
import { expect, onTestFinished, test } from 'vitest';
import type { KubeError } from './error.ts';
import { LeaderElector } from './leader-elector.ts';
import { type Lease, leases } from './lease.ts';
import { connectTo, startServer } from './test-support.ts';
import { ManualClock, type VirtualServer, until } from './virtual/index.ts';

const name = { namespace: 'system', name: 'operator' };

interface Replica {
  elector: LeaderElector;
  clock: ManualClock;
  elected: number;
  lost: KubeError[];
  errors: unknown[];
}

/** Each replica has a clock of its own: a replica that is dead or hangs is one whose clock stands still. */
function replica(server: VirtualServer, identity: string, hasEnded = (_holder: string): boolean => false): Replica {
  const clock = new ManualClock();
  const made: Replica = { clock, elected: 0, lost: [], errors: [] } as unknown as Replica;
  made.elector = new LeaderElector({
    api: connectTo(server),
    lease: name,
    identity,
    hasEnded,
    onElected: () => made.elected++,
    onLost: (error) => made.lost.push(error),
    onError: (error) => made.errors.push(error),
    clock,
  });
  made.elector.start();
  onTestFinished(() => made.elector.stop());
  return made;
}

async function leads(made: Replica): Promise<Replica> {
  await until(() => made.elected === 1);
  return made;
}

/** Lets time pass for a replica, attempt by attempt, each answered before the next. */
async function live({ clock, elector }: Replica, ms: number): Promise<void> {
  const sleeps = (): Promise<void> => until(() => clock.waiting === 1, `${elector.leader} waits for its next attempt`);
  await sleeps();
  for (const end = clock.now() + ms; clock.now() < end; await sleeps()) await clock.skip();
}

function lease(server: VirtualServer): NonNullable<Lease['spec']> {
  return server.store.get(leases, name).spec ?? {};
}

test('the first replica leads and renews; the second waits', async () => {
  const server = await startServer();
  const one = await leads(replica(server, 'one'));
  const two = replica(server, 'two');
  await live(one, 10_000);
  await live(two, 10_000);
  expect([one.elector.isLeader, two.elector.isLeader, two.elector.leader]).toEqual([true, false, 'one']);
  expect(lease(server)).toMatchObject({ holderIdentity: 'one', leaseDurationSeconds: 15, leaseTransitions: 0 });
  expect(lease(server).renewTime).toMatch(/^2026-01-01T00:00:\d\d\.\d{6}Z$/);
  expect(lease(server).renewTime).not.toBe(lease(server).acquireTime);
});

test('a leader that is killed is followed by another after the lease has run out, not before', async () => {
  const server = await startServer();
  await leads(replica(server, 'one'));
  const two = replica(server, 'two');
  await live(two, 12_000);
  expect(two.elected).toBe(0);
  await live(two, 6_000);
  await leads(two);
  expect(lease(server)).toMatchObject({ holderIdentity: 'two', leaseTransitions: 1 });
});

test('a leader that is known to have ended is followed at once', async () => {
  const server = await startServer();
  await leads(replica(server, 'one'));
  await leads(replica(server, 'two', (holder) => holder === 'one'));
  expect(lease(server)).toMatchObject({ holderIdentity: 'two', leaseTransitions: 1 });
});

test('a leader that leaves gives the lease back, and another leads at its next look', async () => {
  const server = await startServer();
  const one = await leads(replica(server, 'one'));
  const two = replica(server, 'two');
  await live(two, 2_000);
  await one.elector.stop();
  expect(lease(server)).not.toHaveProperty('holderIdentity');
  await live(two, 2_400);
  await leads(two);
  expect([one.lost, one.errors, one.elector.isLeader, one.clock.waiting]).toEqual([[], [], false, 0]);
});

test('a leader that leaves while its renewal is unanswered still gives the lease back', async () => {
  const server = await startServer();
  const one = await leads(replica(server, 'one'));
  await until(() => one.clock.waiting === 1);
  server.fail('lostAnswer', { verb: 'patch' });
  const before = server.requests.length;
  await one.clock.skip();
  await until(() => server.requests.length > before && one.errors.length === 1);
  await one.elector.stop();
  expect(lease(server)).not.toHaveProperty('holderIdentity');
});

test('times written by a replica whose wall clock is wrong mislead nobody', async () => {
  const server = await startServer();
  const holderIdentity = 'from-another-century';
  server.store.create(leases, {
    metadata: name,
    spec: { holderIdentity, leaseDurationSeconds: 15, renewTime: '1999-01-01T00:00:00.000000Z' },
  });
  const two = replica(server, 'two');
  await live(two, 10_000);
  expect(two.elected).toBe(0);
  server.store.patch(leases, name, { spec: { renewTime: '2999-01-01T00:00:00.000000Z' } });
  await live(two, 12_000);
  expect(two.elected).toBe(0);
  await live(two, 8_000);
  await leads(two);
});

test('a leader that cannot renew for ten seconds is no leader any more, five before another can be', async () => {
  const server = await startServer();
  const one = await leads(replica(server, 'one'));
  server.fail({ status: 500 }, { times: 1000 });
  await until(() => one.clock.waiting === 1);
  while (one.lost.length === 0) await one.clock.skip();
  expect(one.clock.now()).toBe(10_000);
  expect(one.elector.isLeader).toBe(false);
  expect(one.lost[0]).toMatchObject({
    code: 'KUBE_LEADERSHIP_LOST',
    message: 'leadership by Lease system/operator is lost: it could not be renewed for 10 s',
  });
  expect(one.errors.length).toBeGreaterThan(2);
});

test('one failed renewal is no loss', async () => {
  const server = await startServer();
  const one = await leads(replica(server, 'one'));
  server.fail({ status: 503 }, { verb: 'patch', times: 2 });
  await live(one, 30_000);
  expect([one.lost, one.elector.isLeader]).toEqual([[], true]);
});

test('a leader that was held up knows that it is none before its timers have run', async () => {
  const server = await startServer();
  const one = await leads(replica(server, 'one'));
  const now = one.clock.now();
  one.clock.now = () => now + 10_000;
  expect(one.elector.isLeader).toBe(false);
});

test('a leader whose lease another has taken stops at once and says who', async () => {
  const server = await startServer();
  const one = await leads(replica(server, 'one'));
  server.store.patch(leases, name, { spec: { holderIdentity: 'usurper' } });
  await until(() => one.clock.waiting === 1);
  while (one.lost.length === 0) await one.clock.skip();
  expect(one.lost[0]?.message).toContain('usurper holds it now');
  expect(one.clock.now()).toBeLessThan(10_000);
});

test('of three that start at the same time one leads', async () => {
  const server = await startServer();
  const replicas = ['one', 'two', 'three'].map((identity) => replica(server, identity));
  for (const made of replicas) await live(made, 8_000);
  expect(replicas.filter(({ elector }) => elector.isLeader)).toHaveLength(1);
});
