// Which path goes to which resource, and what the kubelet is told of it.
import { type DataDirectMode, PATH_REASONS, type PathReason, stateOf } from '@data-direct/crds';
import { assert, property, shuffledSubarray } from 'fast-check';
import { expect, test } from 'vitest';

import { NicMemory } from './nic-memory.ts';
import type { OfferedPath } from './offered.ts';
import { assign, poolOf } from './pool.ts';
import { assignment, path, resource, tray } from './test-support.ts';

const health = ({ pools }: ReturnType<typeof assignment>): Record<string, boolean> =>
  Object.fromEntries(pools.flatMap(({ devices }) => devices.map(({ id, healthy }) => [id, healthy])));

test('a device is called by the NIC’s PCI address', () => {
  expect(health(assignment())).toEqual({
    '0000:03:00.0': true,
    '0001:03:00.0': true,
    '0002:03:00.0': true,
    '0003:03:00.0': true,
  });
});

test.each(
  (['Required', 'Preferred', 'Disabled'] as const).flatMap((mode) =>
    (Object.keys(PATH_REASONS) as PathReason[]).map((reason): [DataDirectMode, PathReason, boolean] => [
      mode,
      reason,
      { Ready: true, Degraded: mode !== 'Required', Unavailable: false }[stateOf(reason)],
    ]),
  ),
)('under %s a path that is %s is healthy: %s', (mode, reason, healthy) => {
  const { pools } = assignment({ resources: [resource({ dataDirect: mode })], paths: [path(0, reason)] });
  expect(pools[0]?.devices.map((device) => device.healthy)).toEqual([healthy]);
});

test('replicas are devices of one path', () => {
  const { pools } = assignment({ resources: [resource({ sharing: { replicas: 3 } })], paths: [path(0)] });
  expect(pools[0]?.devices.map(({ id }) => id)).toEqual(['0000:03:00.0::1', '0000:03:00.0::2', '0000:03:00.0::3']);
});

test('the first resource that selects a NIC has it, and no other', () => {
  const named = resource({ name: 'one', nics: { pciAddresses: ['0001:03:00.0'] } });
  const { pools } = assignment({ resources: [named, resource({ name: 'rest' })] });
  expect(pools.map((pool) => [pool.resource.name, pool.paths.map(({ name }) => name)])).toEqual([
    ['one', ['mlx5_1']],
    ['rest', ['mlx5_0', 'mlx5_2', 'mlx5_3']],
  ]);
});

test.each(['0002:03:00.0', 'mlx5_2'])('a path excluded as %s is kept from pods and says why', (nic) => {
  const result = assignment({ resources: [resource({ exclude: [{ nic, reason: 'cable replaced on Monday' }] })] });
  expect(health(result)['0002:03:00.0']).toBe(false);
  expect(result.paths.find(({ id }) => id === '0002:03:00.0')).toMatchObject({
    state: 'Unavailable',
    reason: 'Excluded',
    message: 'taken out of service by DataDirectPath gb300: cable replaced on Monday',
  });
});

test('a path excluded by its RDMA device stays so while its NIC has no driver, and with it no RDMA device', () => {
  const memory = new NicMemory();
  const spec = { resources: [resource({ exclude: [{ nic: 'mlx5_2', reason: 'cable on order' }] })] };
  const excluded = (paths: OfferedPath[]): string[] =>
    assign(spec, paths, (each) => memory.recall(each))
      .paths.filter(({ reason }) => reason === 'Excluded')
      .map(({ id }) => id);
  expect(excluded(tray())).toEqual(['0002:03:00.0']);
  const unbound = tray({ 2: 'WaitingForDriver' }).map((each) =>
    each.name === 'mlx5_2' ? { ...each, name: each.id, nic: { ...each.nic, rdmaDevice: undefined } } : each,
  );
  expect(excluded(unbound)).toEqual(['0002:03:00.0']);
});

test('a BlueField is a path of the node and in no pool', () => {
  const [first, ...rest] = tray();
  if (!first) throw new Error('the tray is empty');
  const blueField = { ...first, id: '0006:01:00.0', name: 'mlx5_9', nic: { ...first.nic, model: 'BlueField-3' } };
  const result = assignment({ paths: [blueField, first, ...rest] });
  expect(result.paths).toHaveLength(5);
  expect(result.pools[0]?.devices).toHaveLength(4);
  expect(poolOf(result, blueField.id)).toBeUndefined();
});

test('the order in which paths are found does not matter', () => {
  assert(
    property(shuffledSubarray(tray(), { minLength: 4 }), (shuffled) => {
      expect(assignment({ paths: shuffled })).toEqual(assignment());
    }),
  );
});

test('NICs whose RDMA devices were numbered anew are the same devices', () => {
  const renumbered = tray().map((each, index) => {
    const name = `mlx5_${3 - index}`;
    return { ...each, name, nic: { ...each.nic, rdmaDevice: name, uverbs: `uverbs${3 - index}` } };
  });
  expect(health(assignment({ paths: renumbered }))).toEqual(health(assignment()));
});
