// What an administrator sees in the cluster while policies, nodes and agents come, change and go.
import { API_VERSION, heartbeatLease } from '@data-direct/crds';
import { type Happening, type Regarding, leases } from '@data-direct/kube';
import { createLog } from '@data-direct/process';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { Controller } from './controller.ts';
import { dataDirectNodes, dataDirectPaths, nodes } from './objects.ts';
import { pathOf, portDown, unbound } from './testing.ts';
import { NAMESPACE, type VirtualCluster, startVirtualCluster } from './virtual-cluster.ts';

const four = [pathOf(0), pathOf(1), pathOf(2), pathOf(3)];
const heartbeatMs = 300_000;

let cluster: VirtualCluster;
/** `Warning Degraded gb300` */
let events: string[];

beforeEach(async () => {
  cluster = await startVirtualCluster();
  events = [];
  onTestFinished(() => cluster.close());
});

function record({ metadata }: Regarding, { type, reason }: Happening): void {
  events.push(`${type} ${reason} ${metadata.name}`);
}

function controller(isLeading = () => true): Controller {
  const made = new Controller({
    api: cluster.api,
    namespace: NAMESPACE,
    heartbeatMs,
    isLeading,
    recorder: { record },
    log: createLog('silent'),
    tally: { wrote: () => {}, failed: () => {} },
    clock: cluster.clock,
  });
  onTestFinished(() => made.stop());
  return made;
}

/** One node whose agent reports four good paths under policy gb300. */
async function readyCluster(): Promise<void> {
  cluster.addNode('node-a', { gpu: 'gb300' });
  cluster.addPolicy('gb300', { nodeSelector: { matchLabels: { gpu: 'gb300' } } });
  await controller().start();
  cluster.beat('node-a');
  await cluster.eventually(() => cluster.nodeObject('node-a'));
  cluster.report('node-a', four);
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('AllPathsReady'));
}

function labelOf(node: string, resource = 'path'): string | undefined {
  return cluster.node(node).metadata.labels?.[`datadirect.dev/${resource}`];
}

test('a policy becomes the spec of each selected node’s DataDirectNode, which its Node owns', async () => {
  const node = cluster.addNode('node-a', { gpu: 'gb300' });
  cluster.addNode('node-b');
  cluster.addPolicy('gb300', { nodeSelector: { matchLabels: { gpu: 'gb300' } }, dataDirect: 'Required' });
  await controller().start();
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('Starting'));
  expect(cluster.nodeObjects()).toMatchObject([
    {
      apiVersion: API_VERSION,
      kind: 'DataDirectNode',
      metadata: {
        name: 'node-a',
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'node-a', uid: node.metadata.uid }],
      },
      spec: { resources: [{ name: 'path', policy: 'gb300', policyGeneration: 1, dataDirect: 'Required' }] },
    },
  ]);
  expect(cluster.told('gb300', 'Progressing')).toBe(
    'Progressing=True NodesPending: 1 node yet to take this over: node-a',
  );
});

test('what the agents report becomes the policy’s status, the node’s label and an event a phase', async () => {
  await readyCluster();
  expect(cluster.status('gb300')).toMatchObject({
    observedGeneration: 1,
    nodes: { selected: 1, ready: 1, degraded: 0, notReporting: 0 },
    paths: { total: 4, ready: 4, degraded: 0, allocatable: 4 },
  });
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('ready'));

  cluster.report('node-a', [pathOf(0), pathOf(1, unbound), pathOf(2), pathOf(3)]);
  await cluster.eventually(() =>
    expect(cluster.told('gb300', 'Ready')).toBe(
      'Ready=False Degraded: 3 of 4 paths ready on 1 node; DmaDriverNotBound: mlx5_1 on node-a: 0009:03:00.0 has no driver',
    ),
  );
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('degraded'));

  cluster.report('node-a', four);
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('AllPathsReady'));
  expect(events).toEqual([
    'Normal Starting gb300',
    'Normal AllPathsReady gb300',
    'Warning Degraded gb300',
    'Normal AllPathsReady gb300',
  ]);
});

test('a changed policy reaches the nodes, and is told as Progressing until their agents follow', async () => {
  await readyCluster();
  cluster.changePolicy('gb300', { dataDirect: 'Disabled' });
  await cluster.eventually(() => expect(cluster.told('gb300', 'Progressing')).toContain('node-a'));
  expect(cluster.nodeObject('node-a').spec.resources).toMatchObject([{ dataDirect: 'Disabled', policyGeneration: 2 }]);
  expect(cluster.told('gb300', 'Ready')).toContain('AllPathsReady');
  cluster.report('node-a', four);
  await cluster.eventually(() => expect(cluster.told('gb300', 'Progressing')).toContain('UpToDate'));
  expect(cluster.status('gb300')?.observedGeneration).toBe(2);
});

test('the younger of two policies with one resource name waits, and takes over when the older is deleted', async () => {
  await readyCluster();
  await cluster.clock.advance(1000);
  cluster.addPolicy('younger', { dataDirect: 'Required' });
  await cluster.eventually(() =>
    expect(cluster.told('younger', 'Accepted')).toBe(
      'Accepted=False Conflict: resource name path on node node-a is held by the older DataDirectPath gb300',
    ),
  );
  expect(cluster.nodeObject('node-a').spec.resources).toMatchObject([{ policy: 'gb300' }]);
  expect(cluster.told('gb300', 'Accepted')).toContain('Accepted=True');

  cluster.server.store.delete(dataDirectPaths, { name: 'gb300' });
  await cluster.eventually(() =>
    expect(cluster.nodeObject('node-a').spec.resources).toMatchObject([{ policy: 'younger' }]),
  );
  cluster.report('node-a', four);
  await cluster.eventually(() => expect(cluster.told('younger', 'Ready')).toContain('AllPathsReady'));
  expect(cluster.told('younger', 'Accepted')).toContain('Accepted=True');
});

test('two policies that select one NIC: the younger is told which, where and by whom, until the older lets go', async () => {
  await readyCluster();
  await cluster.clock.advance(1000);
  cluster.addPolicy('one', { resourceName: 'one', nics: { ibDevices: ['mlx5_1'] } });
  await cluster.eventually(() =>
    expect(cluster.told('one', 'Accepted')).toBe(
      'Accepted=False Conflict: NIC mlx5_1 (0001:03:00.0) on node node-a is held by the older DataDirectPath gb300',
    ),
  );
  expect(cluster.nodeObject('node-a').spec.resources.map(({ name }) => name)).toEqual(['path', 'one']);
  cluster.changePolicy('gb300', { nics: { ibDevices: ['mlx5_0'] } });
  await cluster.eventually(() => expect(cluster.told('one', 'Accepted')).toContain('Accepted=True'));
});

test('a node that is no longer selected: the agent takes everything back first, then object and label go', async () => {
  await readyCluster();
  cluster.server.store.patch(nodes, { name: 'node-a' }, { metadata: { labels: { gpu: null } } });
  await cluster.eventually(() => expect(cluster.nodeObject('node-a').spec.resources).toEqual([]));
  await cluster.quiet();
  expect(cluster.nodeObjects()).toHaveLength(1);
  expect(cluster.told('gb300', 'Ready')).toContain('NoNodes');
  cluster.report('node-a', []);
  await cluster.eventually(() => expect(cluster.nodeObjects()).toEqual([]));
  expect(labelOf('node-a')).toBeUndefined();

  cluster.server.store.patch(nodes, { name: 'node-a' }, { metadata: { labels: { gpu: 'gb300' } } });
  await cluster.eventually(() => expect(cluster.nodeObjects()).toHaveLength(1));
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('none'));
});

test('the object of a node whose agent is gone for good does not stay behind', async () => {
  await readyCluster();
  cluster.server.store.delete(dataDirectPaths, { name: 'gb300' });
  await cluster.eventually(() => expect(cluster.nodeObject('node-a').spec.resources).toEqual([]));
  await cluster.clock.advance(2.5 * heartbeatMs);
  await cluster.eventually(() => expect(cluster.nodeObjects()).toEqual([]));
});

test('nodes that come and go are counted', async () => {
  await readyCluster();
  cluster.addNode('node-b', { gpu: 'gb300' });
  await cluster.eventually(() => expect(cluster.nodeObjects()).toHaveLength(2));
  cluster.report('node-b', [pathOf(0, portDown)]);
  await cluster.eventually(() =>
    expect(cluster.status('gb300')).toMatchObject({
      nodes: { selected: 2, ready: 1, degraded: 1 },
      paths: { total: 5 },
    }),
  );
  cluster.server.store.delete(nodes, { name: 'node-b' });
  cluster.server.store.delete(dataDirectNodes, { name: 'node-b' }); // as the garbage collector does
  await cluster.eventually(() => expect(cluster.status('gb300')?.nodes).toMatchObject({ selected: 1, ready: 1 }));
  expect(cluster.nodeObjects()).toHaveLength(1);
});

test('an agent that stops beating is not reporting: nothing is claimed of its paths until it beats again', async () => {
  await readyCluster();
  await cluster.clock.advance(2.5 * heartbeatMs);
  await cluster.eventually(() =>
    expect(cluster.told('gb300', 'Ready')).toBe('Ready=Unknown NotReporting: no agent reports on 1 node: node-a'),
  );
  expect(cluster.status('gb300')).toMatchObject({
    nodes: { notReporting: 1, ready: 0 },
    paths: { total: 0, allocatable: 0 },
  });
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('none'));
  cluster.beat('node-a');
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('AllPathsReady'));
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('ready'));
});

test('a Lease that is deleted is no beat', async () => {
  await readyCluster();
  const beaten = cluster.clock.now();
  await cluster.clock.advance(2 * heartbeatMs);
  cluster.server.store.delete(leases, { name: heartbeatLease('node-a'), namespace: NAMESPACE });
  await cluster.quiet();
  await cluster.clock.advance(0.5 * heartbeatMs);
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('NotReporting'));
  expect(cluster.clock.now() - beaten).toBeLessThan(3 * heartbeatMs);
});

test('while the operator cannot hear the API server no agent is held for silent', async () => {
  await readyCluster();
  for (const verb of ['list', 'watch'] as const)
    cluster.server.fail({ status: 500, message: 'no' }, { verb, times: 1e6 });
  cluster.server.disturbWatches('reset');
  const since = cluster.clock.now();
  const asked = (): number => cluster.server.requests.length;
  while (cluster.clock.now() - since < 3 * heartbeatMs) {
    const before = asked();
    await cluster.clock.advance(30_000);
    await cluster.eventually(() => expect(asked()).toBeGreaterThan(before));
  }
  cluster.server.heal();
  cluster.addNode('node-b', { gpu: 'gb300' });
  await cluster.eventually(() => expect(cluster.nodeObjects()).toHaveLength(2));
  await cluster.quiet();
  expect(events).not.toContain('Warning NotReporting gb300');
  expect(cluster.status('gb300')?.nodes).toMatchObject({ notReporting: 0 });
});

test('a node that was made anew under its name owns its object', async () => {
  await readyCluster();
  cluster.server.store.delete(nodes, { name: 'node-a' });
  const { uid } = cluster.addNode('node-a', { gpu: 'gb300' }).metadata;
  await cluster.eventually(() =>
    expect(cluster.nodeObject('node-a').metadata.ownerReferences).toEqual([expect.objectContaining({ uid })]),
  );
});

test('an object is deleted only if it still is what was looked at', async () => {
  await readyCluster();
  cluster.server.store.delete(dataDirectPaths, { name: 'gb300' });
  await cluster.eventually(() => expect(cluster.nodeObject('node-a').spec.resources).toEqual([]));
  cluster.report('node-a', []);
  const { uid, resourceVersion } = cluster.nodeObject('node-a').metadata;
  await cluster.eventually(() => expect(cluster.nodeObjects()).toEqual([]));
  const order = cluster.server.requests.find(({ verb, plural }) => verb === 'delete' && plural === 'datadirectnodes');
  expect(order?.body).toMatchObject({ preconditions: { uid, resourceVersion } });
});

test('an agent that beats in time stays, however long', async () => {
  await readyCluster();
  for (let beat = 0; beat < 10; beat += 1) {
    cluster.beat('node-a');
    await cluster.quiet();
    await cluster.clock.advance(heartbeatMs);
  }
  expect(cluster.told('gb300', 'Ready')).toContain('AllPathsReady');
  expect(events).not.toContain('Warning NotReporting gb300');
});

test('what someone else changes in specs, labels and statuses of ours is put right', async () => {
  await readyCluster();
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('ready'));
  cluster.server.store.patch(nodes, { name: 'node-a' }, { metadata: { labels: { 'datadirect.dev/path': 'none' } } });
  cluster.server.store.patch(dataDirectNodes, { name: 'node-a' }, { spec: { resources: [] } });
  const asSomeone = { fieldManager: 'kubectl-edit', subresource: 'status' } as const;
  cluster.server.store.patch(dataDirectPaths, { name: 'gb300' }, { status: { paths: { total: 99 } } }, asSomeone);
  await cluster.eventually(() => {
    expect(labelOf('node-a')).toBe('ready');
    expect(cluster.nodeObject('node-a').spec.resources).toHaveLength(1);
    expect(cluster.status('gb300')?.paths?.total).toBe(4);
  });
});

test('a status that someone else changed, and nothing but that, is put right', async () => {
  await readyCluster();
  await cluster.quiet();
  const asSomeone = { fieldManager: 'kubectl-edit', subresource: 'status' } as const;
  cluster.server.store.patch(dataDirectPaths, { name: 'gb300' }, { status: { paths: { total: 99 } } }, asSomeone);
  await cluster.eventually(() => expect(cluster.status('gb300')?.paths?.total).toBe(4));
});

test('one phase is one event, however its message changes', async () => {
  await readyCluster();
  for (const broken of [1, 2, 3]) {
    cluster.report(
      'node-a',
      four.map((path, index) => (index < broken ? pathOf(index, unbound) : path)),
    );
    await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain(`${4 - broken} of 4 paths ready`));
  }
  expect(events.filter((event) => event === 'Warning Degraded gb300')).toHaveLength(1);
});

test('a malformed policy is told what is wrong, and the others go on', async () => {
  await readyCluster();
  for (const [name, spec] of Object.entries({
    'no-spec': undefined,
    'a-text': 'text',
    'a-number': { resourceName: 'xx', nics: 1 },
  })) {
    cluster.server.store.create(dataDirectPaths, { metadata: { name }, spec });
  }
  cluster.addPolicy('no-values', {
    resourceName: 'yy',
    nodeSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] },
  });
  await cluster.eventually(() => {
    expect(cluster.told('no-spec', 'Accepted')).toContain('Accepted=False Invalid: spec must be an object');
    expect(cluster.told('a-text', 'Accepted')).toContain('Accepted=False Invalid: spec must be an object');
    expect(cluster.told('a-number', 'Accepted')).toContain('Accepted=False Invalid: spec.nics');
    expect(cluster.told('no-values', 'Ready')).toContain(
      'Ready=False Invalid: spec.nodeSelector.matchExpressions[0].values',
    );
  });
  cluster.report('node-a', [pathOf(0, unbound)]);
  await cluster.eventually(() => expect(cluster.told('gb300', 'Ready')).toContain('Degraded'));
});

test('a slip in an edit leaves the nodes what was accepted before, and says so', async () => {
  await readyCluster();
  const nodeSelector = { matchExpressions: [{ key: 'gpu', operator: 'Exists' as const, values: ['gb300'] }] };
  cluster.changePolicy('gb300', { nodeSelector });
  await cluster.eventually(() =>
    expect(cluster.told('gb300', 'Accepted')).toContain('what was accepted before stays in force on 1 node'),
  );
  expect(cluster.nodeObject('node-a').spec.resources).toMatchObject([{ policy: 'gb300', policyGeneration: 1 }]);
});

test('objects that our types rule out do no harm', async () => {
  await readyCluster();
  const agent = { fieldManager: 'data-direct-agent', subresource: 'status' } as const;
  cluster.addNode('node-b', { gpu: 'gb300' });
  await cluster.eventually(() => expect(cluster.nodeObjects()).toHaveLength(2));
  const status = { paths: [{ id: 'x' }, pathOf(0)], resources: 'many', conditions: {} };
  cluster.server.store.patch(dataDirectNodes, { name: 'node-b' }, { status }, agent);
  cluster.server.store.create(leases, { metadata: { name: 'data-direct-agent-nobody', namespace: NAMESPACE } });
  await cluster.eventually(() => expect(cluster.status('gb300')?.paths).toMatchObject({ total: 5, ready: 5 }));
});

test('two hundred nodes: each object is written as often as something changed, and never again', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `node-${String(index).padStart(3, '0')}`);
  for (const name of names) cluster.addNode(name);
  cluster.addPolicy('gb300');
  await controller().start();
  await cluster.eventually(() => expect(cluster.nodeObjects()).toHaveLength(200));
  for (const name of names) cluster.report(name, four);
  await cluster.eventually(() =>
    expect(cluster.told('gb300', 'Ready')).toContain('800 of 800 paths ready on 200 nodes'),
  );
  await cluster.quiet();

  for (const name of names) {
    expect(labelOf(name)).toBe('ready');
    expect(cluster.nodeObject(name).metadata.generation).toBe(1);
  }
  const writes = cluster.writes();
  expect(writes.filter((write) => write.startsWith('patch nodes')).length).toBeLessThanOrEqual(400); // none, then ready
  expect(writes.filter((write) => write.startsWith('apply datadirectpaths')).length).toBeLessThan(40);

  for (const name of names) cluster.beat(name);
  cluster.server.disturbWatches('reset');
  cluster.server.store.patch(nodes, { name: 'node-000' }, { metadata: { labels: { zone: 'a' } } });
  await cluster.quiet();
  expect(cluster.writes()).toEqual(writes);
});

test('a new operator finds everything as it should be and writes nothing', async () => {
  await readyCluster();
  await cluster.quiet();
  const writes = cluster.writes();
  await controller().start();
  await cluster.quiet();
  expect(cluster.writes()).toEqual(writes);
});

test('while part of the truth is unknown nothing is decided', async () => {
  await readyCluster();
  await cluster.quiet();
  const writes = cluster.writes();
  cluster.server.fail({ status: 500, message: 'no' }, { verb: 'list', plural: 'datadirectpaths' });
  const second = controller();
  const started = second.start();
  await cluster.eventually(() => expect(second.following().get('nodes')?.health().synced).toBe(true));
  expect(second.isSynced).toBe(false);
  await cluster.eventually(() => expect(second.isSynced).toBe(true));
  await started;
  await cluster.quiet();
  expect(cluster.writes()).toEqual(writes);
});

test('a replica that leads no longer writes nothing, whatever it still has to do', async () => {
  let leads = true;
  cluster.addNode('node-a');
  cluster.addPolicy('gb300');
  await controller(() => leads).start();
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('none'));
  await cluster.quiet();
  const writes = cluster.writes();
  leads = false;
  cluster.changePolicy('gb300', { dataDirect: 'Required' });
  cluster.addNode('node-b');
  await cluster.quiet();
  expect(cluster.writes()).toEqual(writes);
});

test.each([
  'reset',
  'lostAnswer',
  'garbage',
  { status: 500, message: 'no' },
  { status: 429, message: 'slow down' },
  { status: 409, message: 'conflict' },
] as const)('writes that fail are made again: %j', async (fault) => {
  await readyCluster();
  await cluster.eventually(() => expect(labelOf('node-a')).toBe('ready'));
  cluster.server.fail(fault, { verb: 'apply', times: 3 });
  cluster.server.fail(fault, { verb: 'patch', times: 2 });
  cluster.changePolicy('gb300', { dataDirect: 'Required' });
  cluster.addNode('node-b', { gpu: 'gb300' });
  await cluster.eventually(() =>
    expect(cluster.nodeObjects().map(({ spec }) => spec.resources[0]?.dataDirect)).toEqual(['Required', 'Required']),
  );
  cluster.report('node-a', [pathOf(0, unbound)]);
  cluster.report('node-b', four);
  await cluster.eventually(() => {
    expect(cluster.told('gb300', 'Ready')).toContain('4 of 5 paths ready on 2 nodes');
    expect([labelOf('node-a'), labelOf('node-b')]).toEqual(['none', 'ready']);
  });
});
