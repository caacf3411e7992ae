// Uninstalling, as it is left to be found.
import { connect, leases } from '@data-direct/kube';
import { createLog } from '@data-direct/process';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { readConfig } from './config.ts';
import { startOperator } from './operator.ts';
import { dataDirectNodes, nodes } from './objects.ts';
import { retire } from './retire.ts';
import { pathOf } from './testing.ts';
import { NAMESPACE, type VirtualCluster, deployments, startVirtualCluster } from './virtual-cluster.ts';

const defaults = readConfig(undefined);
const config = { ...defaults, http: { ...defaults.http, address: '127.0.0.1', port: 0 } };
let cluster: VirtualCluster;
let logged: string[];

beforeEach(async () => {
  cluster = await startVirtualCluster();
  logged = [];
  onTestFinished(() => cluster.close());
});

/** Two nodes with paths, and a running operator that ends when its Deployment is scaled to 0. */
async function installed({ obedient = true } = {}): Promise<void> {
  const { store } = cluster.server;
  store.create(deployments, {
    metadata: { name: 'data-direct-operator', namespace: NAMESPACE },
    spec: { replicas: 1 },
  });
  cluster.addPolicy('gb300');
  for (const name of ['node-a', 'node-b']) cluster.addNode(name, { 'datadirect.dev/pool': 'training' });
  const operator = await startOperator({
    api: connect(cluster.server.connection, { userAgent: 'operator' }),
    reviewer: connect(cluster.server.connection, { userAgent: 'operator' }),
    config,
    pod: { namespace: NAMESPACE, name: 'operator-0' },
    log: createLog('silent'),
    onLost: () => {},
    clock: cluster.clock,
  });
  const stop = store.onChange(({ resource, object }) => {
    const { replicas } = (object as { spec?: { replicas?: number } }).spec ?? {};
    if (obedient && resource.plural === 'deployments' && replicas === 0) void operator.stop();
  });
  onTestFinished(async () => {
    stop();
    await operator.stop();
  });
  await cluster.eventually(() => expect(cluster.nodeObjects()).toHaveLength(2));
  for (const name of ['node-a', 'node-b']) {
    cluster.beat(name);
    cluster.report(name, [pathOf(0)]);
  }
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('AllPathsReady'));
  await cluster.eventually(() =>
    expect(cluster.node('node-b').metadata.labels).toHaveProperty(['datadirect.dev/path'], 'ready'),
  );
}

/** Agents do what the spec says, unless they are dead. */
function agentsFollow(names: readonly string[]): void {
  const stop = cluster.server.store.onChange(({ resource, object, type }) => {
    const { name, generation } = object.metadata;
    const { status } = object as { status?: { observedGeneration?: number } };
    const isBehind = status?.observedGeneration !== generation;
    if (resource.plural === 'datadirectnodes' && type === 'MODIFIED' && isBehind && names.includes(name)) {
      setImmediate(() => cluster.report(name, []));
    }
  });
  onTestFinished(stop);
}

/** Runs `retire` while time passes. */
async function uninstall(): Promise<unknown> {
  let outcome: unknown = 'running';
  const stream = { write: (line: string) => void logged.push((JSON.parse(line) as { msg: string }).msg) };
  retire({
    api: cluster.api,
    config,
    pod: { namespace: NAMESPACE, name: 'retire-0' },
    log: createLog('info', stream),
    clock: cluster.clock,
  }).then(
    () => (outcome = 'done'),
    (error: unknown) => (outcome = error),
  );
  await cluster.eventually(() => expect(outcome).not.toBe('running'));
  return outcome;
}

function expectNothingLeft(): void {
  const { store } = cluster.server;
  expect(cluster.nodeObjects()).toEqual([]);
  expect(store.list(leases)).toEqual([]);
  for (const { metadata } of store.list(nodes)) expect(metadata.labels).toEqual({ 'datadirect.dev/pool': 'training' });
}

test('the agents take everything back first, then all that the operator made is gone, and policies stay', async () => {
  await installed();
  agentsFollow(['node-a', 'node-b']);
  expect(await uninstall()).toBe('done');
  expectNothingLeft();
  expect(cluster.status('gb300')).toBeDefined();
  expect(
    cluster.server.store.get(deployments, { name: 'data-direct-operator', namespace: NAMESPACE }).spec.replicas,
  ).toBe(0);
  expect(logged).toEqual([
    'the operator is scaled to 0',
    'no operator is at work any more',
    'every agent has taken its devices back from the kubelet',
    '2 DataDirectNodes deleted',
    'labels taken off 2 nodes',
    '2 heartbeat Leases deleted',
    'retired: DataDirectPaths and CRDs are left as they are',
  ]);
  const mine = cluster.writes();
  expect(mine.findLastIndex((write) => write.startsWith('apply datadirectnodes'))).toBeLessThan(
    mine.findIndex((write) => write.startsWith('delete datadirectnodes')),
  );
});

test('an agent that does not answer is waited for, named, and does not stop the rest', async () => {
  await installed();
  agentsFollow(['node-a']);
  const before = cluster.clock.now();
  expect(await uninstall()).toBe('done');
  expect(cluster.clock.now() - before).toBeGreaterThanOrEqual(30_000);
  expect(logged).toContain('1 agent did not answer in 30 s; going on without');
  expectNothingLeft();
});

test('when the lead is lost half-way, for an operator may be at work again, nothing more is taken away', async () => {
  await installed();
  const stop = cluster.server.store.onChange(({ resource }) => {
    if (resource.plural !== 'datadirectnodes') return; // the order to withdraw: from here on the Lease cannot be renewed
    cluster.server.fail({ status: 500, message: 'no' }, { plural: 'leases', verb: 'patch', times: 1000 });
    cluster.server.fail({ status: 500, message: 'no' }, { plural: 'leases', verb: 'get', times: 1000 });
  });
  onTestFinished(stop);
  expect(await uninstall()).toMatchObject({ code: 'RETIRE_INTERRUPTED' });
  expect(logged.join()).not.toContain('did not answer'); // it is not waited for any longer either
  expect(cluster.nodeObjects()).toHaveLength(2);
});

test('while another operator leads nothing is taken away, and it is named', async () => {
  await installed({ obedient: false });
  agentsFollow(['node-a', 'node-b']);
  expect(await uninstall()).toMatchObject({
    code: 'RETIRE_NOT_ALONE',
    message: expect.stringMatching(
      /^operator-0_\S+ still holds Lease data-direct\/data-direct-operator after 60 s/,
    ) as string,
  });
  expect(cluster.nodeObjects()).toHaveLength(2);
});

test('again after a half-done attempt, and without a Deployment, it finishes', async () => {
  await installed();
  agentsFollow(['node-a', 'node-b']);
  cluster.server.fail({ status: 500, message: 'no' }, { verb: 'delete', plural: 'datadirectnodes', times: 12 });
  expect(await uninstall()).toMatchObject({ code: 'KUBE_UNAVAILABLE' });
  cluster.server.heal();
  cluster.server.store.delete(deployments, { name: 'data-direct-operator', namespace: NAMESPACE });
  expect(await uninstall()).toBe('done');
  expectNothingLeft();
  expect(logged).toContain('there is no operator to scale down');
});

test('without the CRD, after an installation that failed half-way, it finishes', async () => {
  cluster.server.fail({ status: 404, message: '404 page not found' }, { plural: 'datadirectnodes', times: 100 });
  expect(await uninstall()).toBe('done');
  expect(logged).toContain('0 DataDirectNodes deleted');
});

test('a node that is deleted meanwhile is done with: its object is not made anew, for which there is no right', async () => {
  await installed();
  agentsFollow(['node-a', 'node-b']);
  cluster.server.fail({ status: 500, message: 'no' }, { verb: 'patch', plural: 'datadirectnodes' });
  cluster.server.fail({ status: 500, message: 'no' }, { verb: 'apply', plural: 'datadirectnodes' });
  const changes: string[] = [];
  const stop = cluster.server.store.onChange(({ resource, type, object }) => {
    if (resource.plural !== 'datadirectnodes') return;
    const [one, other] = object.metadata.name === 'node-a' ? ['node-a', 'node-b'] : ['node-b', 'node-a'];
    changes.push(`${type} ${one}`);
    if (changes.length === 1) cluster.server.store.delete(dataDirectNodes, { name: other });
  });
  onTestFinished(stop);
  expect(await uninstall()).toBe('done');
  expect(changes[1]).toMatch(/^DELETED/);
  expect(changes.filter((change) => change.startsWith('ADDED'))).toEqual([]);
  expectNothingLeft();
});

test('writes that fail once are made again', async () => {
  await installed();
  agentsFollow(['node-a', 'node-b']);
  for (const verb of ['patch', 'delete'] as const) cluster.server.fail('reset', { verb, plural: 'datadirectnodes' });
  cluster.server.fail({ status: 500, message: 'no' }, { verb: 'patch', plural: 'nodes' });
  expect(await uninstall()).toBe('done');
  expectNothingLeft();
});
