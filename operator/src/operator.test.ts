// The process as kubelet, Prometheus and its fellow replicas see it.
import { connect, leases } from '@data-direct/kube';
import { createLog } from '@data-direct/process';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { type Config, readConfig } from './config.ts';
import { type Operator, startOperator } from './operator.ts';
import { dataDirectPaths } from './objects.ts';
import { pathOf } from './testing.ts';
import { NAMESPACE, type VirtualCluster, startVirtualCluster } from './virtual-cluster.ts';

let cluster: VirtualCluster;
let lost: string[];

beforeEach(async () => {
  cluster = await startVirtualCluster();
  lost = [];
  onTestFinished(() => cluster.close());
});

async function operator(name: string, metricsAccess: Config['http']['metricsAccess'] = 'Open'): Promise<Operator> {
  const defaults = readConfig(undefined);
  const config = { ...defaults, http: { ...defaults.http, address: '127.0.0.1', port: 0, metricsAccess } };
  const started = await startOperator({
    api: connect(cluster.server.connection, { userAgent: name }),
    reviewer: connect(cluster.server.connection, { userAgent: name }),
    config,
    pod: { namespace: NAMESPACE, name },
    log: createLog('silent'),
    onLost: ({ message }) => lost.push(message),
    clock: cluster.clock,
  });
  onTestFinished(async () => {
    const stopped = started.stop();
    await cluster.clock.advance(10_000);
    await stopped;
  });
  return started;
}

async function page({ httpPort }: Operator, path: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${httpPort}${path}`);
  return { status: answer.status, text: await answer.text() };
}

function holder(): string {
  return (
    cluster.server.store.list(leases).find(({ metadata }) => metadata.name === 'data-direct-operator')?.spec
      ?.holderIdentity ?? ''
  );
}

/** Until the page has this status: probes are asked again and again, too. */
async function probe(one: Operator, path: string, status: number): Promise<string> {
  for (;;) {
    await cluster.quiet();
    const answer = await page(one, path);
    if (answer.status === status) return answer.text.trim();
  }
}

test('one of two replicas leads, the other is ready and takes over at once when the first ends', async () => {
  const first = await operator('operator-0');
  expect(await probe(first, '/readyz', 200)).toBe('leading');
  const second = await operator('operator-1');
  expect(await probe(second, '/readyz', 200)).toMatch(/^waiting; operator-0_\S+ leads$/);
  await first.stop();
  await cluster.eventually(() => expect(holder()).toContain('operator-1'));
  expect(await probe(second, '/readyz', 200)).toBe('leading');
  expect(lost).toEqual([]);
});

test('a leader that cannot renew its Lease is told to end', async () => {
  await operator('operator-0');
  await cluster.eventually(() => expect(holder()).toContain('operator-0'));
  cluster.server.fail({ status: 500, message: 'etcd is down' }, { plural: 'leases', verb: 'patch', times: 100 });
  await cluster.eventually(() => expect(lost).toHaveLength(1));
  expect(lost[0]).toContain('leadership by Lease data-direct/data-direct-operator is lost');
});

test('a leader is not ready before it knows everything, and alive all the same', async () => {
  cluster.server.fail({ status: 403, message: 'no' }, { plural: 'nodes', verb: 'list', times: 1000 });
  const first = await operator('operator-0');
  await cluster.eventually(() => expect(holder()).toContain('operator-0'));
  expect(await probe(first, '/readyz', 503)).toBe('leading, but the caches are not full yet');
  expect((await page(first, '/healthz')).status).toBe(200);
  cluster.server.heal();
  await probe(first, '/readyz', 200);
});

test('metrics tell of policies, writes, failures and the age of what is known', async () => {
  cluster.addNode('node-a');
  cluster.addPolicy('gb300');
  cluster.server.fail({ status: 500, message: 'no' }, { plural: 'nodes', verb: 'patch' });
  const first = await operator('operator-0');
  await cluster.eventually(() => cluster.nodeObject('node-a'));
  cluster.report('node-a', [pathOf(0), pathOf(1)]);
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('AllPathsReady'));
  await cluster.quiet();
  const { text } = await page(first, '/metrics');
  for (const line of [
    'data_direct_operator_leader 1',
    'data_direct_policy_phase{policy="gb300",phase="AllPathsReady"} 1',
    'data_direct_policy_nodes{policy="gb300",nodes="ready"} 1',
    'data_direct_policy_paths{policy="gb300",paths="total"} 2',
    'data_direct_operator_failures_total{of="round"} 1',
    'data_direct_operator_writes_total{object="DataDirectNode"} 1',
    'data_direct_operator_watch_objects{resource="datadirectnodes"} 1',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(text).toMatch(/data_direct_operator_watch_silence_seconds\{resource="nodes"\} \d/);
  expect(await page(first, '/nothing')).toMatchObject({ status: 404 });

  cluster.server.store.delete(dataDirectPaths, { name: 'gb300' });
  await cluster.quiet();
  expect((await page(first, '/metrics')).text).not.toContain('policy="gb300"');
});

test('who floods the metrics with tokens that the API server is slow to review does not cost the operator its lead', async () => {
  const first = await operator('operator-0', 'TokenReview');
  await probe(first, '/readyz', 200);
  cluster.server.fail('silence', { plural: 'tokenreviews', times: 1000 });
  const end = new AbortController();
  onTestFinished(() => end.abort());
  for (let token = 0; token < 40; token += 1) {
    const headers = { authorization: `Bearer stranger-${token}` };
    void fetch(`http://127.0.0.1:${first.httpPort}/metrics`, { headers, signal: end.signal }).catch(() => {});
  }
  const asked = (plural: string): number => cluster.server.requests.filter((one) => one.plural === plural).length;
  await cluster.eventually(() => expect(asked('tokenreviews')).toBeGreaterThanOrEqual(16));
  const since = cluster.clock.now();
  await cluster.eventually(() => expect(cluster.clock.now() - since).toBeGreaterThan(20_000));
  expect(lost).toEqual([]);
  expect(await probe(first, '/readyz', 200)).toBe('leading');
});

test('phase changes are Events about the policy', async () => {
  cluster.addPolicy('gb300');
  await operator('operator-0');
  await cluster.eventually(() =>
    expect(cluster.events()).toEqual([
      expect.objectContaining({
        type: 'Warning',
        reason: 'NoNodes',
        note: 'no node matches spec.nodeSelector',
        reportingController: 'datadirect.dev/operator',
        regarding: expect.objectContaining({ kind: 'DataDirectPath', name: 'gb300' }) as object,
      }),
    ]),
  );
});
