// The agent and its object on an API server: what it follows, what it writes, and what it does without either.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ContainerStatus, DataDirectNodeStatus, NodeResource } from '@data-direct/crds';
import { connect, events, type KubeObject, leases, type Resource } from '@data-direct/kube';
import { startVirtualServer, until, type VirtualServer } from '@data-direct/kube/virtual';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { Checkpoint } from './checkpoint.ts';
import { ClusterNodeObject, dataDirectNodes } from './node-object.ts';
import { nodeStatus, transitions } from './node-status.ts';
import { assignment, resource, tray } from './test-support.ts';

const NODE = 'node-1';
const pods: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };
const nodes: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
let server: VirtualServer;
let checkpointFile: string;
let troubles: string[];

beforeEach(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'node-object-'));
  server = await startVirtualServer({
    resources: [{ ...dataDirectNodes, status: true, listMapKeys: { 'status.paths': ['id'] } }, pods, nodes],
  });
  checkpointFile = join(directory, 'spec.json');
  troubles = [];
  onTestFinished(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });
});

interface Following {
  node: ClusterNodeObject;
  changes: () => number;
}

function follow(): Following {
  const node = new ClusterNodeObject({
    api: connect(server.connection, { userAgent: 'test' }),
    node: NODE,
    namespace: 'data-direct',
    instance: 'agent-x',
    checkpoint: new Checkpoint(checkpointFile),
    onTrouble: (part) => troubles.push(part),
  });
  let changes = 0;
  node.start(() => (changes += 1));
  onTestFinished(() => node.stop(1000));
  return { node, changes: () => changes };
}

function create(...resources: NodeResource[]): void {
  server.store.create(dataDirectNodes, { metadata: { name: NODE }, spec: { resources } });
}

const stored = (): DataDirectNodeStatus | undefined => server.store.get(dataDirectNodes, { name: NODE }).status;
const applies = (): number =>
  server.requests.filter(({ verb, plural }) => verb === 'apply' && plural === 'datadirectnodes').length;

function statusOf({
  paths = tray(),
  generation = 1,
  previous,
}: {
  paths?: ReturnType<typeof tray>;
  generation?: number;
  previous?: DataDirectNodeStatus;
} = {}): DataDirectNodeStatus {
  const findings = {
    assignment: assignment({ paths }),
    isRegistered: () => true,
    allocated: new Map<string, number>(),
    containers: [],
    generation,
    portFalls: () => 0,
    kernel: '6.12.0',
    agentVersion: '0.1.0',
    now: new Date('2026-11-22T12:00:00Z'),
  };
  return nodeStatus(findings, previous);
}

test('the kubelet’s version is asked for when somebody wants it, and its coming asks for a round', async () => {
  const status = { nodeInfo: { kubeletVersion: 'v1.35.2' } };
  server.store.create(nodes, { metadata: { name: NODE }, status });
  create(resource());
  const { node, changes } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  const before = changes();
  expect(node.kubeletVersion()).toBeUndefined();
  await until(() => changes() > before, 'a round');
  expect(node.kubeletVersion()).toBe('v1.35.2');
});

test('the spec of its own node is followed, and kept for a time without a server', async () => {
  server.store.create(dataDirectNodes, {
    metadata: { name: 'node-2' },
    spec: { resources: [resource({ name: 'other' })] },
  });
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  expect(node.spec()).toEqual({ spec: { resources: [resource()] }, generation: 1 });
  expect(new Checkpoint(checkpointFile).read()).toEqual({ resources: [resource()] });
});

test('without a server the last spec goes on', async () => {
  new Checkpoint(checkpointFile).write({ resources: [resource()] });
  server.fail('reset', { times: 100 });
  const { node } = follow();
  expect(node.spec()).toEqual({ spec: { resources: [resource()] }, generation: undefined });
  await until(() => troubles.includes('api'), 'the failure told');
});

test('when the object is deleted the last spec goes on', async () => {
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  server.store.delete(dataDirectNodes, { name: NODE });
  create(resource({ name: 'second' }));
  await until(() => node.spec()?.spec.resources[0]?.name === 'second', 'the spec of the new object');
  expect(troubles).toEqual([]);
});

test('a spec without resources is the order to withdraw, and leaves no checkpoint', async () => {
  new Checkpoint(checkpointFile).write({ resources: [resource()] });
  create();
  const { node } = follow();
  await until(() => node.spec()?.generation === 1, 'the spec');
  expect(node.spec()?.spec.resources).toEqual([]);
  expect(new Checkpoint(checkpointFile).read()).toBeUndefined();
});

test('a damaged checkpoint is told and does not hinder', async () => {
  writeFileSync(checkpointFile, 'not one');
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  expect(troubles).toEqual(['checkpoint']);
});

test('a spec that an older or newer server let through is not followed', async () => {
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  server.store.patch(dataDirectNodes, { name: NODE }, { spec: { resources: 5 as unknown as [] } });
  await until(() => troubles.includes('spec'), 'the trouble told');
  expect(node.spec()?.generation).toBe(1);
});

test('status is written by server-side apply, once for what does not change', async () => {
  create(resource());
  const { node, changes } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  node.report(statusOf(), []);
  await until(() => stored() !== undefined, 'the status');
  expect(stored()).toMatchObject({ observedGeneration: 1, pathCounts: { total: 4, ready: 4 } });
  node.report(statusOf({ previous: statusOf() }), []);
  node.report(statusOf({ previous: statusOf(), paths: tray({ 0: 'PortDown' }) }), []);
  await until(() => stored()?.paths?.[0]?.reason === 'PortDown', 'the change');
  expect(applies()).toBe(2);
  expect(changes()).toBe(1); // its own writes are no news
});

test('after a restart nothing is written while nothing has changed', async () => {
  create(resource());
  const first = follow();
  await until(() => first.node.spec() !== undefined, 'a spec');
  first.node.report(statusOf(), []);
  await until(() => stored() !== undefined, 'the status');
  await first.node.stop(1000);
  const second = follow();
  await until(() => second.node.status() !== undefined, 'the status that is there');
  second.node.report(statusOf({ previous: second.node.status() ?? {} }), []);
  second.node.report(statusOf({ previous: second.node.status() ?? {}, generation: 2 }), []);
  await until(() => stored()?.observedGeneration === 2, 'a change');
  expect(applies()).toBe(2);
});

test('a status that somebody else has changed is put right', async () => {
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  node.report(statusOf(), []);
  await until(() => stored() !== undefined, 'the status');
  const writer = { fieldManager: 'somebody', subresource: 'status' } as const;
  server.store.patch(dataDirectNodes, { name: NODE }, { status: { kernel: 'nonsense' } }, writer);
  await until(() => stored()?.kernel === '6.12.0', 'the kernel put right');
  expect(applies()).toBeGreaterThan(1);
});

test('a status that the server did not take is written later', async () => {
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  server.fail('reset', { verb: 'apply', plural: 'datadirectnodes' });
  node.report(statusOf(), []);
  await until(() => stored() !== undefined, 'the status');
  expect(troubles).toContain('api');
});

test('an object that goes at the moment of a report is no trouble, as with a node’s last policy', async () => {
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  server.store.delete(dataDirectNodes, { name: NODE });
  node.report(statusOf(), []);
  await until(() => applies() === 1, 'the report');
  create(resource({ name: 'second' }));
  await until(() => node.spec()?.spec.resources[0]?.name === 'second', 'the spec of the next object');
  expect(troubles).toEqual([]);
});

test('before the object is there nothing is reported, so that what it says already is not forgotten', async () => {
  const { node } = follow();
  node.report(statusOf(), []);
  expect(node.status()).toBeUndefined();
  create(resource());
  const before = { kernel: '6.11.0' };
  server.store.patch(
    dataDirectNodes,
    { name: NODE },
    { status: before },
    { fieldManager: 'data-direct-agent', subresource: 'status' },
  );
  await until(() => node.spec() !== undefined && node.status() !== undefined, 'the object');
  expect(node.status()).toEqual(before);
  expect(applies()).toBe(0);
});

test('a path that leaves Ready is a Warning with its reason, and its return is Normal', async () => {
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  const well = statusOf();
  const broken = statusOf({ previous: well, paths: tray({ 1: 'DmaDriverNotBound' }) });
  node.report(well, transitions(undefined, well));
  node.report(broken, transitions(well, broken));
  node.report(well, transitions(broken, well));
  await until(() => server.store.list(events).length === 4, 'two events about each of two objects');
  const told = server.store
    .list(events)
    .toSorted((a, b) => b.type.localeCompare(a.type) || a.regarding.kind.localeCompare(b.regarding.kind));
  const broke = {
    type: 'Warning',
    reason: 'DmaDriverNotBound',
    note: 'path mlx5_1 (0001:03:00.0) was Paired: mlx5_1 is DmaDriverNotBound',
  };
  expect(told).toMatchObject([
    { ...broke, regarding: { kind: 'DataDirectNode', name: NODE } },
    { ...broke, regarding: { kind: 'Node', name: NODE, uid: NODE } },
    { type: 'Normal', reason: 'Paired' },
    { type: 'Normal', reason: 'Paired' },
  ]);
});

test('a pod whose container has a new finding gets an event; one that is gone is passed over', async () => {
  create(resource());
  const pod = server.store.create(pods, { metadata: { name: 'train', namespace: 'team' } });
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  const found: ContainerStatus = {
    namespace: 'team',
    pod: 'train',
    container: 'main',
    reason: 'EnvironmentStale',
    message: 'mlx5_1 is DmaDriverNotBound',
    since: '2026-11-22T12:00:00Z',
  };
  node.report(statusOf(), [], [{ ...found, pod: 'gone' }, found]);
  await until(() => server.store.list(events).length > 0, 'an event');
  expect(server.store.list(events)).toMatchObject([
    {
      metadata: { namespace: 'team' },
      type: 'Warning',
      reason: 'EnvironmentStale',
      note: 'container main: mlx5_1 is DmaDriverNotBound',
      regarding: { kind: 'Pod', name: 'train', namespace: 'team', uid: pod.metadata.uid },
    },
  ]);
  expect(troubles).toEqual([]);
});

test('a full disk is told; the spec is followed all the same, and written once there is room', async () => {
  symlinkSync('/dev/full', `${checkpointFile}.new`);
  create(resource());
  const { node } = follow();
  await until(() => node.spec() !== undefined, 'a spec');
  expect(troubles).toEqual(['checkpoint']);
  expect(new Checkpoint(checkpointFile).read()).toBeUndefined();
  rmSync(`${checkpointFile}.new`);
  node.report(statusOf(), []);
  expect(new Checkpoint(checkpointFile).read()).toEqual({ resources: [resource()] });
});

test('a heartbeat is there while the object is, and belongs to it', async () => {
  follow();
  create(resource());
  const lease = { name: `data-direct-agent-${NODE}`, namespace: 'data-direct' };
  await until(() => server.store.list(leases).length === 1, 'the Lease');
  const { uid } = server.store.get(dataDirectNodes, { name: NODE }).metadata;
  expect(server.store.get(leases, lease)).toMatchObject({
    metadata: { ownerReferences: [{ kind: 'DataDirectNode', name: NODE, uid }] },
    spec: { holderIdentity: 'agent-x' },
  });
});
