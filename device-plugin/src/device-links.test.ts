// Device nodes as a container runtime would find them, at the first start of a container and at a later one.
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { OfferedPath } from './offered.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { allocate } from './allocation/allocate.ts';
import { DeviceLinks } from './device-links.ts';
import { assignment, path, resource, tray } from './test-support.ts';

let directory: string;
let held: Set<string> | undefined;
let troubles: unknown[];
let links: DeviceLinks;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'links-')), 'devices');
  held = new Set();
  troubles = [];
  links = opened();
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

const onTrouble = (error: unknown): void => void troubles.push(error);

function opened(): DeviceLinks {
  return new DeviceLinks({ directory, deviceDir: '/dev', held: () => Promise.resolve(held), onTrouble });
}

/** What the kubelet is answered now for path `index`, and will replay. */
function answered(index: number): string[] {
  const now = assignment({ resources: [resource({ devices: { umad: true, rdmaCm: true } })] });
  const [pool] = now.pools;
  if (!pool) throw new Error('no pool');
  const context = { node: now.paths, hostPath: links.hostPath, hasCdiDevice: () => false };
  return allocate(pool, [path(index).id], context).devices.map(({ hostPath }) => hostPath);
}

/** The NIC of path `index` after its driver was loaded in another order. */
function renumbered(index: number, number: number | undefined): OfferedPath {
  const { nic, ...rest } = path(index);
  const { uverbs: _uverbs, rdmaDevice: _device, ...plain } = nic;
  if (number === undefined) return { ...rest, nic: { ...plain, uverbs: undefined, rdmaDevice: undefined, umad: [] } };
  const names = { uverbs: `uverbs${number}`, rdmaDevice: `mlx5_${number}`, umad: [`umad${number}`] };
  return { ...rest, nic: { ...plain, ...names } };
}

test('a container is answered with links that lead to its path’s nodes; rdma_cm, which is one for all, with itself', async () => {
  await links.publish(assignment());
  const [uverbs = '', umad = '', rdmaCm] = answered(1);
  expect([readlinkSync(uverbs), readlinkSync(umad)]).toEqual(['/dev/infiniband/uverbs1', '/dev/infiniband/umad1']);
  expect(rdmaCm).toBe('/dev/infiniband/rdma_cm');
});

test('what is answered may be kept until links are published', async () => {
  const before = links.hostPath;
  expect(links.hostPath).toBe(before);
  await links.publish(assignment());
  const published = links.hostPath;
  expect(published).not.toBe(before);
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'a file where the directory should be');
  await links.publish(assignment());
  expect(troubles).toHaveLength(1);
  expect(links.hostPath).not.toBe(published);
});

test('after RDMA devices were numbered anew, an old answer leads to the same path’s node, also for the next agent', async () => {
  await links.publish(assignment());
  const [uverbs = ''] = answered(0);
  links = opened();
  await links.publish(assignment({ paths: [renumbered(0, 2), renumbered(2, 0)] }));
  expect(readlinkSync(uverbs)).toBe('/dev/infiniband/uverbs2');
});

test('while its NIC has no driver an old answer leads nowhere, rather than to whoever has its number now', async () => {
  await links.publish(assignment());
  const [uverbs = ''] = answered(0);
  await links.publish(assignment({ paths: [renumbered(0, undefined), renumbered(2, 0)] }));
  expect(existsSync(uverbs)).toBe(false);
  await links.publish(assignment());
  expect(readlinkSync(uverbs)).toBe('/dev/infiniband/uverbs0');
});

test('a withdrawn resource leaves links to what containers hold, right ones, and nothing else', async () => {
  await links.publish(assignment());
  held = new Set([path(3).id]);
  await links.publish(assignment({ resources: [], paths: [...tray().slice(0, 3), renumbered(3, 7)] }));
  expect(readdirSync(directory).toSorted()).toEqual(['0003:03:00.0-umad0', '0003:03:00.0-uverbs']);
  expect(readlinkSync(join(directory, '0003:03:00.0-uverbs'))).toBe('/dev/infiniband/uverbs7');
  held = new Set();
  await links.publish(assignment({ resources: [] }));
  expect(existsSync(directory)).toBe(false);
});

test('where it cannot be told what is held, every link stays', async () => {
  await links.publish(assignment());
  held = undefined;
  await links.publish(assignment({ resources: [] }));
  expect(readdirSync(directory)).toHaveLength(8);
});

test('what a killed agent or a stranger left there is put right', async () => {
  await links.publish(assignment());
  rmSync(join(directory, '0000:03:00.0-uverbs'));
  writeFileSync(join(directory, '0000:03:00.0-uverbs'), 'no link');
  writeFileSync(join(directory, '0001:03:00.0-uverbs.new'), '');
  await links.publish(assignment());
  expect(readlinkSync(join(directory, '0000:03:00.0-uverbs'))).toBe('/dev/infiniband/uverbs0');
  expect(readdirSync(directory)).toHaveLength(8);
});

test('where nothing can be written containers are given the nodes themselves, and that is told', async () => {
  writeFileSync(directory, 'a file where the directory should be');
  await links.publish(assignment());
  expect(troubles).toMatchObject([{ code: 'ENOTDIR' }]);
  expect(answered(0)[0]).toBe('/dev/infiniband/uverbs0');
});
