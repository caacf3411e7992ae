// What is told of containers whose environment does not fit their paths (any more).
import type { NodeResource, PathReason } from '@data-direct/crds';
import { expect, test } from 'vitest';

import { environment } from '../allocation/environment.ts';
import type { ContainerDevices } from '../kubelet/protocol.ts';
import { assignment, gpu, resource, tray } from '../test-support.ts';
import { containerFindings, type ContainerFinding } from './findings.ts';

const ids = tray().map(({ id }) => id);
const left = resource({ name: 'left', nics: { pciAddresses: ids.slice(0, 2) } });
const right = resource({ name: 'right', nics: { pciAddresses: ids.slice(2) } });

interface Scene {
  readonly resources?: readonly NodeResource[];
  /** Index of paths by resource that the one container holds. */
  readonly holds: Readonly<Record<string, readonly number[]>>;
  readonly gpus?: readonly string[];
  /** Before and after. */
  readonly reasons?: Record<number, PathReason>;
  /** The policies afterwards. */
  readonly later?: readonly NodeResource[];
  readonly remembered?: boolean;
  /** The kubelet names each device in an entry of its own. */
  readonly oneByOne?: boolean;
}

/** A container is started on a healthy tray, then the world changes. */
function found({
  resources = [resource()],
  holds,
  gpus = [],
  reasons = {},
  later,
  remembered = true,
  oneByOne = false,
}: Scene) {
  const held: ContainerDevices[] = Object.entries(holds).map(([name, indexes]) =>
    devices(
      `datadirect.dev/${name}`,
      indexes.map((index) => ids[index] ?? ''),
    ),
  );
  if (gpus.length > 0) held.push(devices('example.com/gpu', gpus));
  const before = assignment({ resources: [...resources] });
  const given = new Map(
    before.pools.map(({ resource: each }) => {
      const paths = before.paths.filter((_path, index) => holds[each.name]?.includes(index));
      return [each.name, environment({ resource: each, paths, gpus: undefined }, before.paths)];
    }),
  );
  return containerFindings({
    held: oneByOne ? held.flatMap(({ ids: some, ...rest }) => some.map((id) => ({ ...rest, ids: [id] }))) : held,
    given: (name, some) => (remembered && some.length === holds[name]?.length ? given.get(name) : undefined),
    assignment: assignment({ resources: [...(later ?? resources)], paths: tray(reasons) }),
    addressOf: (_resource, id) => (id.startsWith('00') && !ids.includes(id) ? id : undefined),
  });
}

function devices(name: string, some: readonly string[]): ContainerDevices {
  return { namespace: 'team', pod: 'train', container: 'main', resource: name, ids: some };
}

const reasonsOf = (findings: readonly ContainerFinding[]): string[] => findings.map(({ reason }) => reason);

test('it makes no difference that the kubelet lists each device on its own', () => {
  const broken = { 1: 'DmaDriverNotBound' as const };
  const [finding] = found({ holds: { path: [0, 1, 2, 3] }, reasons: broken });
  expect(found({ holds: { path: [0, 1, 2, 3] }, reasons: broken, oneByOne: true })).toEqual([finding]);
});

test('a container on a healthy tray is fine', () => {
  expect(found({ holds: { path: [0, 1, 2, 3] } })).toEqual([]);
});

test('a path that broke since makes the environment stale; pod, cause and variables are named', () => {
  expect(found({ holds: { path: [0, 1, 2, 3] }, reasons: { 1: 'DmaDriverNotBound' } })).toEqual([
    {
      namespace: 'team',
      pod: 'train',
      container: 'main',
      reason: 'EnvironmentStale',
      message:
        'datadirect.dev/path: mlx5_1 is DmaDriverNotBound; NCCL_IB_DATA_DIRECT was 1, would be 0; ' +
        'NVSHMEM_DISABLE_DATA_DIRECT was 0, would be 1; UCX_IB_DIRECT_NIC was y, would be n',
    },
  ]);
});

test('a path that broke where data direct was off anyway changes nothing', () => {
  expect(found({ holds: { path: [1] }, reasons: { 1: 'DmaDriverNotBound' } })).toEqual([]);
});

test('a policy that says something else since makes it stale too', () => {
  const later = [resource({ environment: { extra: { NCCL_DEBUG: 'INFO' } } })];
  const [finding] = found({ holds: { path: [0, 1, 2, 3] }, later });
  expect(finding?.message).toBe(
    'datadirect.dev/path: the container holds every path of the node; NCCL_DEBUG was unset, would be INFO',
  );
});

test('a device that is gone is named', () => {
  const later = [resource({ nics: { pciAddresses: ids.slice(1) } })];
  const [finding] = found({ holds: { path: [0, 1, 2, 3] }, later });
  expect(finding?.reason).toBe('EnvironmentStale');
  expect(finding?.message).toContain(`${ids[0]} is gone; NCCL_IB_DATA_DIRECT was 1, would be 0`);
});

test('a resource that is withdrawn judges nobody', () => {
  expect(found({ holds: { path: [0, 1, 2, 3] }, later: [] })).toEqual([]);
});

test('a container whose answer nobody remembers is not judged by it', () => {
  expect(found({ holds: { path: [0, 1, 2, 3] }, reasons: { 1: 'PortDown' }, remembered: false })).toEqual([]);
});

test('two resources with different values of one variable conflict', () => {
  expect(found({ resources: [left, right], holds: { left: [0, 1], right: [2, 3] } })).toEqual([
    {
      namespace: 'team',
      pod: 'train',
      container: 'main',
      reason: 'EnvironmentConflict',
      message:
        'datadirect.dev/left and datadirect.dev/right give different values of NCCL_IB_HCA, NVSHMEM_HCA_LIST, UCX_NET_DEVICES; ' +
        'which one wins is decided anew at each start',
    },
  ]);
});

test('two resources that say the same do not', () => {
  const quiet = [left, right].map((each) => ({ ...each, environment: { ...each.environment, scopeHca: false } }));
  expect(found({ resources: quiet, holds: { left: [0, 1], right: [2, 3] } })).toEqual([]);
});

test.each([
  ['on', 'On', 'data direct is on for the container and slow for this GPU'],
  ['off', 'Off', 'data direct is off for the container'],
])('a GPU of another complex is told, with data direct %s', (_what, whenGpuUnknown, effect) => {
  const resources = [resource({ whenGpuUnknown })];
  expect(found({ resources, holds: { path: [0] }, gpus: [gpu(3)] })).toMatchObject([
    { reason: 'GpuElsewhere', message: `GPU ${gpu(3)} is not beside the DMA function of mlx5_0: ${effect}` },
  ]);
});

test.each([
  ['its own GPU', { holds: { path: [0] }, gpus: [gpu(0)] }],
  ['every path of the node', { holds: { path: [0, 1, 2, 3] }, gpus: ['00ff:01:00.0'] }],
  ['GPUs that nobody can name', { holds: { path: [0] }, gpus: ['GPU-5f0f2a'] }],
  [
    'a policy that is Disabled',
    { resources: [resource({ dataDirect: 'Disabled' })], holds: { path: [0] }, gpus: [gpu(3)] },
  ],
])('nothing is told of a container with %s', (_what, scene: Scene) => {
  expect(reasonsOf(found(scene))).toEqual([]);
});
