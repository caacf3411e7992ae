// Which devices the kubelet is advised to take, on the tray of test-support.ts: two NUMA nodes with two GPUs and two paths each.
import { assert, nat, property, record, subarray } from 'fast-check';
import { expect, test } from 'vitest';

import type { Pool } from '../pool.ts';
import { assignment, gpu, resource, tray } from '../test-support.ts';
import { type GpuView, NOTHING_KNOWN } from './gpu-view.ts';
import { preferred } from './preferred.ts';

function poolWith(fields: object = {}, paths = tray()): Pool {
  const [pool] = assignment({ resources: [resource(fields)], paths }).pools;
  if (!pool) throw new Error('no pool');
  return pool;
}

const ids = tray().map(({ id }) => id);
const named = (indices: readonly number[]): string[] => indices.map((index) => ids[index] ?? '');
/** Paths by their number, of a request for `size` with these free. */
function chosen(size: number, free: readonly number[], gpus: Partial<GpuView> = {}, must: readonly number[] = []) {
  const request = { available: named(free), mustInclude: named(must), size };
  return preferred(poolWith(), request, { ...NOTHING_KNOWN, ...gpus }).map((id) => ids.indexOf(id));
}
const gpus = (...indices: number[]): Set<string> => new Set(indices.map(gpu));

test('the paths beside the GPUs that the pod has been given', () => {
  expect(chosen(2, [0, 1, 2, 3], { wanted: gpus(1, 3), held: gpus(1, 3) })).toEqual([1, 3]);
});

test('where the path beside the pod’s GPU is taken, one on the same NUMA node', () => {
  expect(chosen(1, [0, 1, 3], { wanted: gpus(2), held: gpus(2) })).toEqual([3]);
});

test('where the pod’s GPUs are not known, paths whose GPUs are still free', () => {
  expect(chosen(1, [0, 1, 2, 3], { held: gpus(0, 1, 2) })).toEqual([3]);
});

test('beyond the pod’s GPUs, paths whose GPU is gone: whole pairs are left to others', () => {
  expect(chosen(2, [0, 1, 2, 3], { wanted: gpus(2), held: gpus(2, 0, 3) })).toEqual([2, 3]);
  expect(chosen(2, [0, 1, 2], { wanted: gpus(2), held: gpus(2, 1) })).toEqual([2, 1]);
});

test('two paths come from one NUMA node if one has two', () => {
  expect(chosen(2, [0, 2, 3])).toEqual([2, 3]);
  expect(chosen(2, [1, 2])).toEqual([1, 2]);
});

test('what must be included is, and draws the rest to its NUMA node', () => {
  expect(chosen(2, [0, 1, 2, 3], {}, [3])).toEqual([3, 2]);
});

test('without anything to go by, in order of address', () => {
  expect(chosen(1, [3, 1, 0])).toEqual([0]);
  expect(chosen(3, [3, 2, 1, 0])).toEqual([0, 1, 2]);
});

test('replicas spread: different paths for one container, and the path of which most are left', () => {
  const pool = poolWith({ sharing: { replicas: 3 } }, tray().slice(0, 2));
  const available = pool.devices.map((device) => device.id).filter((id) => id !== '0000:03:00.0::1');
  const ask = (size: number): string[] => preferred(pool, { available, mustInclude: [], size }, NOTHING_KNOWN);
  expect(ask(1)).toEqual(['0001:03:00.0::1']);
  expect(ask(2)).toEqual(['0001:03:00.0::1', '0000:03:00.0::2']);
});

test.each([
  ['more than there are', { available: ids.slice(0, 2), mustInclude: [], size: 5 }, ids.slice(0, 2)],
  ['none', { available: ids, mustInclude: [], size: 0 }, []],
  ['ids that nobody knows', { available: ['b', 'a'], mustInclude: ['c'], size: 2 }, ['c', 'a']],
])('asked for %s it answers all the same', (_what, request, expected) => {
  expect(preferred(poolWith(), request, NOTHING_KNOWN)).toEqual(expected);
});

test('whatever is asked in whatever order: as many as can be, of those on offer, none twice, the same each time', () => {
  const some = subarray([...ids, 'unknown']);
  const question = record({ available: some, mustInclude: some, size: nat(6), wanted: some });
  assert(
    property(question, ({ available, mustInclude, size, wanted }) => {
      const view = { wanted: new Set(wanted), held: new Set(wanted) };
      const answer = preferred(poolWith(), { available, mustInclude, size }, view);
      const offered = new Set([...available, ...mustInclude]);
      expect(new Set(answer).size).toBe(answer.length);
      expect(answer.every((id) => offered.has(id))).toBe(true);
      expect(answer).toHaveLength(Math.max(new Set(mustInclude).size, Math.min(size, offered.size)));
      expect(mustInclude.every((id) => answer.includes(id))).toBe(true);
      const again = { available: available.toReversed(), mustInclude, size };
      expect(preferred(poolWith(), again, view)).toEqual(answer);
    }),
  );
});
