import type { Condition, DataDirectPathStatus, NodePath } from '@data-direct/crds';
import { dataDirectPathStatusSchema } from '@data-direct/crds/schema';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { PolicyObject } from './objects.ts';
import { readPolicies } from './policy.ts';
import { type NodeReport, rollUp } from './rollup.ts';
import { pathOf, policyOf, portDown, settledNode, unbound } from './testing.ts';

const now = '2026-01-01T00:00:10Z';
const later = '2026-01-01T00:01:00Z';

function statusOf(policy: PolicyObject, reports: readonly NodeReport[], at = now): DataDirectPathStatus {
  const [read] = readPolicies([policy]);
  if (!read) throw new Error('no policy');
  return rollUp(read, reports, at);
}

function condition(status: DataDirectPathStatus, type: string): Condition | undefined {
  return status.conditions?.find((one) => one.type === type);
}

const gb300 = policyOf('gb300');
const four = [pathOf(0), pathOf(1), pathOf(2), pathOf(3)];
const oneUnbound = [pathOf(0), pathOf(1, unbound), pathOf(2), pathOf(3)];

test('all paths ready: counts, no reasons, and a line that says so', () => {
  const status = statusOf(gb300, [settledNode([gb300], { paths: four })]);
  expect(status).toEqual({
    observedGeneration: 1,
    conditions: [
      {
        type: 'Accepted',
        status: 'True',
        reason: 'Accepted',
        message: 'the policy is valid',
        lastTransitionTime: now,
        observedGeneration: 1,
      },
      {
        type: 'Ready',
        status: 'True',
        reason: 'AllPathsReady',
        message: '4 of 4 paths ready on 1 node',
        lastTransitionTime: now,
        observedGeneration: 1,
      },
      {
        type: 'Progressing',
        status: 'False',
        reason: 'UpToDate',
        message: 'every node that reports has taken this over',
        lastTransitionTime: now,
        observedGeneration: 1,
      },
    ],
    nodes: { selected: 1, ready: 1, degraded: 0, notReporting: 0 },
    paths: { total: 4, ready: 4, degraded: 0, allocatable: 4 },
    reasons: [],
  });
});

test('a path that is not ready is told with reason, name, node and message', () => {
  const status = statusOf(gb300, [settledNode([gb300], { paths: oneUnbound })]);
  expect(condition(status, 'Ready')).toMatchObject({
    status: 'False',
    reason: 'Degraded',
    message: '3 of 4 paths ready on 1 node; DmaDriverNotBound: mlx5_1 on node-a: 0009:03:00.0 has no driver',
  });
  expect(status).toMatchObject({
    nodes: { selected: 1, ready: 0, degraded: 1 },
    paths: { total: 4, ready: 3, degraded: 1 },
    reasons: [{ reason: 'DmaDriverNotBound', paths: 1, nodes: ['node-a'] }],
  });
});

test('reasons come with most paths first and name the first ten nodes', () => {
  const nodes = Array.from({ length: 12 }, (_, index) =>
    settledNode([gb300], {
      name: `node-${String(index).padStart(2, '0')}`,
      paths: [pathOf(0, portDown), pathOf(1, unbound), pathOf(2, unbound)],
    }),
  );
  const status = statusOf(gb300, nodes.toReversed());
  expect(status.reasons).toEqual([
    { reason: 'DmaDriverNotBound', paths: 24, nodes: nodes.slice(0, 10).map(({ name }) => name) },
    { reason: 'PortDown', paths: 12, nodes: nodes.slice(0, 10).map(({ name }) => name) },
  ]);
  expect(condition(status, 'Ready')?.message).toBe(
    '0 of 36 paths ready on 12 nodes; DmaDriverNotBound: mlx5_1 on node-00: 0009:03:00.0 has no driver (and 23 more paths); ' +
      'PortDown: mlx5_0 on node-00: port 1 is DOWN (and 11 more paths)',
  );
});

/** One row a phase: what is so on the only node, and what Ready then says. */
test.each<
  [phase: string, ready: string, policy: PolicyObject, nodes: (policy: PolicyObject) => NodeReport[], message: string]
>([
  ['NoNodes', 'False', gb300, () => [], 'no node matches spec.nodeSelector'],
  [
    'Starting',
    'False',
    gb300,
    (policy) => [settledNode([policy], { life: 'awaited' })],
    'waiting for the agent on 1 node: node-a',
  ],
  ['NoPaths', 'False', gb300, (policy) => [settledNode([policy], { paths: [] })], 'spec.nics selects no NIC on 1 node'],
  [
    'NoPaths',
    'False',
    gb300,
    (policy) => [settledNode([policy], { paths: [] }), settledNode([policy], { name: 'node-b', life: 'silent' })],
    'spec.nics selects no NIC on 1 node; no agent reports on 1 node: node-b',
  ],
  [
    'NotReporting',
    'Unknown',
    gb300,
    (policy) => [settledNode([policy], { paths: four, life: 'silent' })],
    'no agent reports on 1 node: node-a',
  ],
  [
    'Unavailable',
    'False',
    gb300,
    (policy) => [settledNode([policy], { paths: [pathOf(0, portDown)] })],
    '0 of 1 path ready on 1 node; PortDown: mlx5_0 on node-a: port 1 is DOWN',
  ],
  [
    'Unavailable',
    'False',
    policyOf('gb300', { dataDirect: 'Required' }),
    (policy) => [settledNode([policy], { paths: [pathOf(0, unbound)] })],
    '0 of 1 path ready on 1 node; DmaDriverNotBound: mlx5_0 on node-a: 0009:03:00.0 has no driver',
  ],
  [
    'Degraded',
    'False',
    gb300,
    (policy) => [settledNode([policy], { paths: [pathOf(0, unbound)] })],
    '0 of 1 path ready on 1 node; DmaDriverNotBound: mlx5_0 on node-a: 0009:03:00.0 has no driver',
  ],
  [
    'Degraded',
    'False',
    gb300,
    (policy) => [
      settledNode([policy], { paths: four }),
      settledNode([policy], { name: 'node-b', paths: four, life: 'silent' }),
    ],
    '4 of 4 paths ready on 1 node; no agent reports on 1 node: node-b',
  ],
  [
    'AllPathsReady',
    'True',
    policyOf('gb300', { dataDirect: 'Disabled' }),
    (policy) => [settledNode([policy], { paths: [pathOf(0), pathOf(1, unbound)] })],
    '2 of 2 paths ready on 1 node; DmaDriverNotBound: mlx5_1 on node-a: 0009:03:00.0 has no driver',
  ],
  [
    'Invalid',
    'False',
    policyOf('gb300', { nodeSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
    () => [],
    'spec.nodeSelector.matchExpressions[0].values: operator In needs at least one value',
  ],
])('phase %s (Ready=%s)', (phase, ready, policy, nodes, message) => {
  expect(condition(statusOf(policy, nodes(policy)), 'Ready')).toMatchObject({ status: ready, reason: phase, message });
});

test('a path taken out of service on purpose is told, but does not make the policy less ready', () => {
  const excluded = pathOf(1, { state: 'Unavailable', reason: 'Excluded', message: 'cable on order' });
  const status = statusOf(gb300, [settledNode([gb300], { paths: [pathOf(0), excluded] })]);
  expect(condition(status, 'Ready')).toMatchObject({
    status: 'True',
    message: '1 of 2 paths ready on 1 node; Excluded: mlx5_1 on node-a: cable on order',
  });
  expect(status).toMatchObject({ nodes: { ready: 1, degraded: 0 }, paths: { total: 2, ready: 1 } });
});

test('nodes without such NICs are selected, but neither ready nor degraded', () => {
  const nodes = [settledNode([gb300], { paths: four }), settledNode([gb300], { name: 'cpu-only', paths: [] })];
  expect(statusOf(gb300, nodes).nodes).toEqual({ selected: 2, ready: 1, degraded: 0, notReporting: 0 });
});

test('a policy is not called ready while an agent has said nothing yet; one that only lags behind an edit does no harm', () => {
  const settled = settledNode([gb300], { paths: four });
  const unheard = settledNode([gb300], { name: 'node-b', life: 'awaited' });
  expect(condition(statusOf(gb300, [settled, unheard]), 'Ready')).toMatchObject({
    status: 'False',
    reason: 'Starting',
    message: '4 of 4 paths ready on 1 node; waiting for the agent on 1 node: node-b',
  });
  const lagging = settledNode([gb300], { name: 'node-b', paths: four });
  if (lagging.object) lagging.object.metadata.generation = 2;
  expect(condition(statusOf(gb300, [settled, lagging]), 'Ready')).toMatchObject({ reason: 'AllPathsReady' });
});

test('an agent that cannot register with the kubelet makes its node degraded, and is named', () => {
  const report = settledNode([gb300], { paths: four });
  const conditions: Condition[] = [
    {
      type: 'Registered',
      status: 'False',
      reason: 'KubeletUnreachable',
      message: 'no kubelet.sock',
      lastTransitionTime: now,
    },
  ];
  Object.assign(report.object?.status ?? {}, { conditions });
  expect(condition(statusOf(gb300, [report]), 'Ready')).toMatchObject({
    reason: 'Degraded',
    message: '4 of 4 paths ready on 1 node; KubeletUnreachable on node-a: no kubelet.sock',
  });
});

test('Progressing names the nodes whose agents follow an older spec, but not those that are silent', () => {
  const settled = settledNode([gb300], { paths: four });
  const lagging = settledNode([gb300], { name: 'node-b', paths: four });
  if (lagging.object) lagging.object.metadata.generation = 2;
  const silent = settledNode([gb300], { name: 'node-c', life: 'silent' });
  expect(condition(statusOf(gb300, [settled, lagging, silent]), 'Progressing')).toMatchObject({
    status: 'True',
    reason: 'NodesPending',
    message: '1 node yet to take this over: node-b',
  });
});

test('the younger of two policies in conflict is told what, where and by whom, and how often', () => {
  const younger = policyOf('younger', { resourceName: 'one', nics: { linkLayer: 'InfiniBand' } });
  const older = policyOf('older', {}, 1);
  const report = settledNode([older, younger], { paths: four });
  const status = statusOf(younger, [report]);
  const message = 'NIC mlx5_0 (0000:03:00.0) on node node-a is held by the older DataDirectPath older (and 3 more)';
  expect(condition(status, 'Accepted')).toMatchObject({ status: 'False', reason: 'Conflict', message });
  expect(condition(status, 'Ready')).toMatchObject({ status: 'False', reason: 'Conflict', message });
  expect(condition(statusOf(older, [report]), 'Accepted')?.status).toBe('True');
});

test('exclusions that name nothing are told, without refusing the policy', () => {
  const policy = policyOf('gb300', {
    exclude: [
      { node: 'node-a', nic: 'mlx5_0', reason: 'by name' },
      { node: 'node-a', nic: '0001:03:00.0', reason: 'by address' },
      { node: 'node-a', nic: 'mlx5_9', reason: 'no such NIC' },
      { node: 'node-x', nic: 'mlx5_0', reason: 'no such node' },
    ],
  });
  expect(condition(statusOf(policy, [settledNode([policy], { paths: four })]), 'Accepted')).toMatchObject({
    status: 'True',
    message:
      'accepted, but spec.exclude names what is not there: mlx5_9 on node-a, mlx5_0 on node-x (not a node of this policy)',
  });
});

test('lastTransitionTime moves with the status of a condition, and with nothing else', () => {
  const first = statusOf(gb300, [settledNode([gb300], { paths: oneUnbound })]);
  const degraded: PolicyObject = { ...gb300, status: first };
  const worse = statusOf(degraded, [settledNode([gb300], { paths: [pathOf(0, unbound), pathOf(1, portDown)] })], later);
  expect(condition(worse, 'Ready')).toMatchObject({ status: 'False', lastTransitionTime: now });
  const healed = statusOf(degraded, [settledNode([gb300], { paths: four })], later);
  expect(condition(healed, 'Ready')).toMatchObject({ status: 'True', lastTransitionTime: later });
  expect(condition(healed, 'Accepted')?.lastTransitionTime).toBe(now);
});

test('the order in which nodes are read makes no difference, and every path is counted once', () => {
  const node = fc.record({
    paths: fc.array(fc.constantFrom({}, unbound, portDown), { maxLength: 4 }),
    life: fc.constantFrom('alive' as const, 'awaited' as const, 'silent' as const),
  });
  const cluster = fc
    .array(node, { maxLength: 8 })
    .map((list) =>
      list.map(({ paths, life }, index) =>
        settledNode([gb300], { name: `node-${index}`, life, paths: paths.map((path, nic) => pathOf(nic, path)) }),
      ),
    )
    .chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
    );
  fc.assert(
    fc.property(cluster, ([inOrder, mixed]) => {
      const status = statusOf(gb300, inOrder);
      expect(statusOf(gb300, mixed)).toEqual(status);
      expect(dataDirectPathStatusSchema.safeParse(status).error).toBeUndefined();
      const { total = 0, ready = 0 } = status.paths ?? {};
      expect(ready + (status.reasons ?? []).reduce((sum, { paths }) => sum + paths, 0)).toBe(total);
    }),
  );
});

test('an excluded NIC that has lost its driver, and with it its RDMA device, is not said to be missing', () => {
  const policy = policyOf('gb300', { exclude: [{ node: 'node-a', nic: 'mlx5_1', reason: 'cable on order' }] });
  const gone = pathOf(1, { name: pathOf(1).id, state: 'Unavailable', reason: 'Excluded', message: 'cable on order' });
  const status = statusOf(policy, [settledNode([policy], { paths: [pathOf(0), gone] })]);
  expect(condition(status, 'Accepted')?.message).toBe('the policy is valid');
});

test('under a policy that asks for no data direct a path without it is not degraded', () => {
  const disabled = policyOf('gb300', { dataDirect: 'Disabled' });
  const status = statusOf(disabled, [settledNode([disabled], { paths: oneUnbound })]);
  expect(status.paths).toMatchObject({ total: 4, ready: 4, degraded: 0 });
});

test('a node all of whose paths are excluded is not counted as ready', () => {
  const excluded: Partial<NodePath> = { state: 'Unavailable', reason: 'Excluded', message: 'cable on order' };
  const nodes = [
    settledNode([gb300], { paths: [pathOf(0, excluded)] }),
    settledNode([gb300], { name: 'node-b', paths: [pathOf(0), pathOf(1, excluded)] }),
  ];
  expect(statusOf(gb300, nodes).nodes).toEqual({ selected: 2, ready: 1, degraded: 0, notReporting: 0 });
});

test('a policy with more slips than a condition can hold is told as many as fit', () => {
  const { environment } = gb300.spec;
  const names = Array.from({ length: 64 }, (_, index) => `PCIDEVICE_DATADIRECT_DEV_${index}${'X'.repeat(600)}`);
  const extra = Object.fromEntries(names.map((name) => [name, '']));
  const status = statusOf(policyOf('gb300', { environment: { ...environment, extra } }), []);
  expect(dataDirectPathStatusSchema.safeParse(status).error).toBeUndefined();
  expect(condition(status, 'Accepted')).toMatchObject({ status: 'False', reason: 'Invalid' });
});
