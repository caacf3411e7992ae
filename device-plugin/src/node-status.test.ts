// What `kubectl describe ddn` shows after a round.
import type { PathReason } from '@data-direct/crds';
import { dataDirectNodeStatusSchema } from '@data-direct/crds/schema';
import { expect, test } from 'vitest';

import type { ContainerFinding } from './containers/findings.ts';
import { type Findings, newContainers, nodeStatus, transitions } from './node-status.ts';
import type { OfferedPath } from './offered.ts';
import { assignment, path, resource, tray } from './test-support.ts';

const noon = new Date('2026-11-22T12:00:00Z');
const one = new Date('2026-11-22T13:00:00Z');

function findings(
  reasons: Record<number, PathReason> = {},
  more: Partial<Findings> & { mode?: string } = {},
): Findings {
  const { mode = 'Preferred', ...fields } = more;
  return {
    assignment: assignment({ paths: tray(reasons), resources: [resource({ dataDirect: mode })] }),
    isRegistered: () => true,
    allocated: new Map([['path', 2]]),
    containers: [],
    generation: 7,
    portFalls: () => 0,
    kernel: '6.14.0',
    agentVersion: '0.1.0',
    now: noon,
    ...fields,
  };
}

const condition = (status: ReturnType<typeof nodeStatus>, type: string) =>
  status.conditions?.find((each) => each.type === type);

test('a healthy tray', () => {
  const status = nodeStatus(findings(), undefined);
  expect(status).toMatchObject({
    observedGeneration: 7,
    pathCounts: { total: 4, ready: 4 },
    resources: [{ name: 'path', capacity: 4, healthy: 4, allocated: 2 }],
    kernel: '6.14.0',
    agentVersion: '0.1.0',
  });
  expect(status.paths?.[0]).toEqual({
    id: '0000:03:00.0',
    name: 'mlx5_0',
    resource: 'path',
    nic: { function: 'PF', model: 'ConnectX-8', linkLayer: 'InfiniBand', portState: 'ACTIVE' },
    dma: { address: '0010:03:00.0', driver: 'mlx5_ib', vuid: 'VUID0' },
    gpus: [{ address: '0010:06:00.0', iommuGroup: '10' }],
    complex: 'complex-0',
    evidence: 'KernelIoctl',
    verified: 'Probe',
    state: 'Ready',
    reason: 'Paired',
    message: 'mlx5_0 is Paired',
    since: '2026-11-22T12:00:00.000Z',
  });
  expect(condition(status, 'Ready')).toMatchObject({
    status: 'True',
    reason: 'AllPathsReady',
    message: '4 of 4 paths as asked',
  });
  expect(condition(status, 'Registered')).toMatchObject({ status: 'True', message: 'the kubelet follows path' });
});

/** One of a great many, which no policy takes by itself. */
function vf(index: number): OfferedPath {
  const [bus, device] = [index >> 8, (index >> 3) & 31].map((part) => part.toString(16).padStart(2, '0'));
  const id = `0000:${bus}:${device}.${index & 7}`;
  const { nic, ...rest } = path(0);
  return { ...rest, id, name: id, nic: { ...nic, function: 'VF' } };
}

test('of a node with more NIC functions than the object can hold those that a resource holds are told, and all of these counted', () => {
  const paths = [...Array.from({ length: 1500 }, (_, index) => vf(index)), path(3)];
  const status = nodeStatus(findings({}, { assignment: assignment({ paths }) }), undefined);
  expect(dataDirectNodeStatusSchema.safeParse(status).error).toBeUndefined();
  expect(status.pathCounts?.total).toBe(1);
  expect(status.paths?.[0]).toMatchObject({ name: 'mlx5_3', resource: 'path' });
  expect(status.paths).toHaveLength(1024);
});

test('whatever is found fits the schema that the API server holds it against', () => {
  const bare = {
    ...path(0),
    message: 'x'.repeat(5000),
    complex: undefined,
    evidence: undefined,
    gpus: [],
    dma: undefined,
  };
  const nic = { ...bare.nic, model: undefined, linkLayer: undefined, portState: undefined };
  const status = nodeStatus(findings({}, { assignment: assignment({ paths: [{ ...bare, nic }] }) }), undefined);
  expect(dataDirectNodeStatusSchema.parse(status)).toEqual(status);
});

test('the time of a path and of a condition is that of their last change', () => {
  const before = nodeStatus(findings(), undefined);
  const after = nodeStatus(findings({ 1: 'PortDown' }, { now: one }), before);
  expect(after.paths?.map(({ since }) => since)).toEqual([
    noon.toISOString(),
    one.toISOString(),
    noon.toISOString(),
    noon.toISOString(),
  ]);
  expect(condition(after, 'Ready')?.lastTransitionTime).toBe(one.toISOString());
  expect(condition(after, 'Registered')?.lastTransitionTime).toBe(noon.toISOString());
});

test('the reason of Ready is that of a path, and its message names them', () => {
  const status = nodeStatus(findings({ 1: 'DmaDriverNotBound', 3: 'PortDown' }), undefined);
  expect(condition(status, 'Ready')).toMatchObject({
    status: 'False',
    reason: 'DmaDriverNotBound',
    message:
      '2 of 4 paths as asked; mlx5_1 DmaDriverNotBound: mlx5_1 is DmaDriverNotBound; mlx5_3 PortDown: mlx5_3 is PortDown',
  });
});

test('a policy that says Disabled asks for no more than a NIC that works', () => {
  const status = nodeStatus(findings({ 0: 'NoDmaFunction' }, { mode: 'Disabled' }), undefined);
  expect(condition(status, 'Ready')?.status).toBe('True');
});

test('a path taken out of service on purpose is no fault', () => {
  const resources = [resource({ exclude: [{ nic: 'mlx5_0', reason: 'cable' }] })];
  const status = nodeStatus(findings({}, { assignment: assignment({ resources }) }), undefined);
  expect(condition(status, 'Ready')).toMatchObject({ status: 'True', message: '3 of 3 paths as asked' });
  expect(status.resources).toMatchObject([{ capacity: 4, healthy: 3 }]);
});

test.each([
  [[], 'Unknown', 'NoResources'],
  [[resource({ nics: { ibDevices: ['mlx5_77'] } })], 'False', 'NoPaths'],
])('with resources %j Ready is %s, %s', (resources, status, reason) => {
  const found = nodeStatus(findings({}, { assignment: assignment({ resources }) }), undefined);
  expect(condition(found, 'Ready')).toMatchObject({ status, reason });
});

test('a kubelet that does not follow, or cannot be asked, is told', () => {
  const status = nodeStatus(findings({}, { isRegistered: () => false, allocated: undefined }), undefined);
  expect(condition(status, 'Registered')).toMatchObject({
    status: 'False',
    reason: 'WaitingForKubelet',
    message: 'the kubelet does not follow path',
  });
  expect(status.resources?.[0]).not.toHaveProperty('allocated');
});

test('transitions are changes of reason of paths in use; what is new or nobody’s is none', () => {
  const before = nodeStatus(findings(), undefined);
  const after = nodeStatus(findings({ 2: 'PortDown' }), before);
  expect(transitions(before, after)).toMatchObject([
    { path: { name: 'mlx5_2', reason: 'PortDown' }, before: 'Paired' },
  ]);
  expect(transitions(undefined, after)).toEqual([]);
  const unheld = nodeStatus(
    findings({ 2: 'PortDown' }, { assignment: assignment({ resources: [], paths: tray({ 2: 'PortDown' }) }) }),
    before,
  );
  expect(transitions(before, unheld)).toEqual([]);
});

function containerNamed(pod: string, message = 'm'): ContainerFinding {
  return { namespace: 'team', pod, container: 'main', reason: 'EnvironmentStale', message };
}

test('a finding about a container keeps its time while it is found, and goes with it', () => {
  const before = nodeStatus(findings({}, { containers: [containerNamed('a'), containerNamed('b')] }), undefined);
  const after = nodeStatus(
    findings({}, { containers: [containerNamed('b', 'other words'), containerNamed('c')], now: one }),
    before,
  );
  expect(after.containers).toEqual([
    { ...containerNamed('b', 'other words'), since: noon.toISOString() },
    { ...containerNamed('c'), since: one.toISOString() },
  ]);
  expect(newContainers(before, after).map(({ pod }) => pod)).toEqual(['c']);
  expect(newContainers(undefined, before).map(({ pod }) => pod)).toEqual(['a', 'b']);
});

test('while the kubelet does not answer, what was found of containers stands', () => {
  const before = nodeStatus(findings({}, { containers: [containerNamed('a')] }), undefined);
  expect(nodeStatus(findings({}, { containers: undefined, now: one }), before).containers).toEqual(before.containers);
});

test('a container with the same fault in two resources, a thousand containers and long messages fit the schema', () => {
  const many = Array.from({ length: 1000 }, (_, index) => containerNamed(`pod-${index}`, 'm'.repeat(5000)));
  const status = nodeStatus(findings({}, { containers: [...many.slice(0, 1), ...many] }), undefined);
  expect(dataDirectNodeStatusSchema.safeParse(status).error).toBeUndefined();
  expect(status.containers).toHaveLength(128);
  expect(status.containers?.[1]?.pod).toBe('pod-1');
});

test('how often a port fell is told, and nothing where it never did', () => {
  const status = nodeStatus(findings({}, { portFalls: (id) => (id === '0001:03:00.0' ? 4 : 0) }), undefined);
  expect(status.paths?.map(({ portFalls }) => portFalls)).toEqual([undefined, 4, undefined, undefined]);
  expect(dataDirectNodeStatusSchema.safeParse(status).success).toBe(true);
});

test('a resource whose topology hints are refused says why', () => {
  const resources = [resource({ topologyHints: 'DmaNumaNode' }), resource({ name: 'other' })];
  const refused = assignment({ resources, hintsRefused: 'this node has 36 NUMA nodes' });
  const status = nodeStatus(findings({}, { assignment: refused }), undefined);
  expect(status.resources?.map(({ hintsRefused }) => hintsRefused)).toEqual(['this node has 36 NUMA nodes', undefined]);
  expect(dataDirectNodeStatusSchema.safeParse(status).success).toBe(true);
});
