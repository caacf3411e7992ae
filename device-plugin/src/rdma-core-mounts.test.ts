// The node's rdma-core as mounts: which, where, and what is told where it is not fit.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { layRdmaCore } from '@data-direct/driver-core';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { cdiSpec } from './allocation/cdi.ts';
import { CdiDirectory } from './cdi-directory.ts';
import { RdmaCoreMounts, type RdmaCoreOptions } from './rdma-core-mounts.ts';
import { PodResources } from './kubelet/pod-resources.ts';
import { RuntimeFiles } from './runtime-files.ts';
import { assignment } from './test-support.ts';

const LIBRARIES = '/usr/lib/x86_64-linux-gnu';
let directory: string;
let root: string;
let driverFile: string;
let troubles: unknown[];
let rdmaCore: RdmaCoreMounts;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rdma-core-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  root = join(directory, 'root');
  mkdirSync(root);
  driverFile = join(directory, 'state/mlx5.driver');
  troubles = [];
  rdmaCore = mountsOf({ root, oldestGlibc: '2.34' });
});

function mountsOf(node: RdmaCoreOptions['node']): RdmaCoreMounts {
  return new RdmaCoreMounts({ node, driverFile, architecture: 'x64', onTrouble: (error) => troubles.push(error) });
}

const mounted = async (): Promise<string[]> =>
  (await rdmaCore.current()).map(({ containerPath, hostPath }) => `${containerPath} ← ${hostPath}`);

test('each library where either family of images has it, the provider where libibverbs looks, and the file that names it', async () => {
  layRdmaCore(root);
  expect(await mounted()).toEqual([
    `${LIBRARIES}/libmlx5.so.1 ← ${LIBRARIES}/libmlx5.so.1.25.56.1`,
    `/usr/lib64/libmlx5.so.1 ← ${LIBRARIES}/libmlx5.so.1.25.56.1`,
    `${LIBRARIES}/libibverbs.so.1 ← ${LIBRARIES}/libibverbs.so.1`,
    `/usr/lib64/libibverbs.so.1 ← ${LIBRARIES}/libibverbs.so.1`,
    `${LIBRARIES}/libnl-3.so.200 ← ${LIBRARIES}/libnl-3.so.200`,
    `/usr/lib64/libnl-3.so.200 ← ${LIBRARIES}/libnl-3.so.200`,
    `${LIBRARIES}/libibverbs/libmlx5-rdmav34.so ← ${LIBRARIES}/libmlx5.so.1.25.56.1`,
    `/etc/libibverbs.d/mlx5.driver ← ${driverFile}`,
  ]);
  expect(readFileSync(driverFile, 'utf8')).toBe('driver mlx5\n');
  expect(statSync(driverFile).mode & 0o777).toBe(0o644);
  expect(troubles).toEqual([]);
});

test('every mount is read-only', async () => {
  layRdmaCore(root);
  for (const { options } of await rdmaCore.current()) expect(options).toEqual(['bind', 'ro', 'nosuid', 'nodev']);
});

test('a node whose own is too old mounts nothing, and says so', async () => {
  layRdmaCore(root, { newest: 'MLX5_1.24' });
  expect(await mounted()).toEqual([]);
  expect(troubles).toMatchObject([
    { code: 'RDMA_CORE_TOO_OLD', message: expect.stringContaining('is older than rdma-core 54') },
  ]);
  expect(existsSync(driverFile)).toBe(false);
});

test('an upgrade of the node is seen by the next round, and a removal', async () => {
  layRdmaCore(root, { newest: 'MLX5_1.24' });
  expect(await mounted()).toEqual([]);
  rmSync(join(root, 'usr'), { recursive: true });
  layRdmaCore(root);
  expect(await mounted()).toHaveLength(8);
  renameSync(join(root, 'usr'), join(root, 'old'));
  expect(await mounted()).toEqual([]);
  expect(troubles).toMatchObject([{ code: 'RDMA_CORE_TOO_OLD' }, { code: 'RDMA_CORE_MISSING' }]);
});

test('on a full disk nothing is mounted, that is told, and it is tried again', async () => {
  layRdmaCore(root);
  mkdirSync(join(directory, 'state'));
  symlinkSync('/dev/full', `${driverFile}.new`);
  expect(await mounted()).toEqual([]);
  expect(troubles).toMatchObject([{ code: 'ENOSPC' }]);
  rmSync(`${driverFile}.new`);
  expect(await mounted()).toHaveLength(8);
});

test('a node without resources keeps nothing of it', async () => {
  layRdmaCore(root);
  await rdmaCore.current();
  rdmaCore.remove();
  rdmaCore.remove();
  expect(existsSync(driverFile)).toBe(false);
  expect(await mounted()).toHaveLength(8);
  expect(existsSync(driverFile)).toBe(true);
});

test('switched off, the agent after it mounts nothing and takes away what was written', async () => {
  layRdmaCore(root);
  await rdmaCore.current();
  const files = new RuntimeFiles({
    deviceDir: '/dev',
    cdiDir: join(directory, 'cdi'),
    linkDir: undefined,
    rdmaCore: { node: undefined, driverFile },
    podResources: new PodResources(join(directory, 'nobody.sock')),
    onTrouble: (_part, error) => troubles.push(error),
  });
  await files.publish(assignment());
  expect(existsSync(driverFile)).toBe(false);
  expect(readFileSync(join(directory, 'cdi/datadirect.dev-path.json'), 'utf8')).not.toContain('mounts');
  expect(troubles).toEqual([]);
});

test('whoever is given a path by CDI is given the mounts; a file kept for a container has those of now', async () => {
  const kind = 'datadirect.dev/path';
  const held = new Map([[kind, new Set(['0000:03:00.0'])]]);
  const cdi = new CdiDirectory({
    directory: join(directory, 'cdi'),
    held: () => Promise.resolve(held),
    onTrouble: (error) => troubles.push(error),
  });
  const written = (): unknown => JSON.parse(readFileSync(join(directory, 'cdi/datadirect.dev-path.json'), 'utf8'));
  const specs = assignment().pools.map((pool) => cdiSpec(pool, '/dev'));
  layRdmaCore(root);
  const mounts = await rdmaCore.current();
  await cdi.publish(specs, mounts);
  expect(written()).toMatchObject({ kind, containerEdits: { mounts } });
  await cdi.publish([], []);
  expect(written()).toMatchObject({ kind, devices: [{ name: '0000:03:00.0' }] });
  expect(written()).not.toHaveProperty('containerEdits');
});
