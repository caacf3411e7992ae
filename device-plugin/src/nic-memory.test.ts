// A NIC is recognised after it lost its driver, also by an agent that started later.
import type { NodePath } from '@data-direct/crds';
import { expect, test } from 'vitest';

import { NicMemory } from './nic-memory.ts';
import { path } from './test-support.ts';

const well = path(0);
const unbound = {
  ...well,
  name: well.id,
  nic: { ...well.nic, rdmaDevice: undefined, linkLayer: undefined, driver: undefined },
};

test('a NIC without its driver is what it was', () => {
  const memory = new NicMemory();
  memory.recall(well);
  expect(memory.recall(unbound)).toMatchObject({ name: 'mlx5_0', nic: { linkLayer: 'InfiniBand' } });
});

test('a NIC that came back under another name has that name', () => {
  const memory = new NicMemory();
  memory.recall(well);
  memory.recall(unbound);
  expect(memory.recall({ ...well, name: 'mlx5_7', nic: { ...well.nic, rdmaDevice: 'mlx5_7' } }).name).toBe('mlx5_7');
});

test('the last status is remembered where nothing newer was seen', () => {
  const memory = new NicMemory();
  const before = { id: well.id, name: 'mlx5_0', nic: { function: 'PF', linkLayer: 'InfiniBand' } } as NodePath;
  memory.learn([before]);
  memory.learn([{ ...before, name: well.id }]); // of a round after the driver was lost
  expect(memory.recall(unbound)).toMatchObject({ name: 'mlx5_0', nic: { linkLayer: 'InfiniBand' } });
  expect(new NicMemory().recall(unbound)).toMatchObject({ name: well.id });
});
