// Which machines' rdma-core may be given to containers, found in directories that stand for a machine's root.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { layRdmaCore, type VirtualRdmaCore } from '../virtual/rdma-core.ts';
import { libraryDefining, type Needs } from '../virtual/shared-library.ts';
import { type Demands, rdmaCoreIn } from './rdma-core.ts';
import { Root } from './root.ts';

const DEBIAN = '/usr/lib/x86_64-linux-gnu';
const GLIBC: Needs = { libraries: ['libc.so.6'], versions: ['GLIBC_2.2.5', 'GLIBC_2.34'] };
let directory: string;
let root: Root;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rdma-core-'));
  root = await Root.open(directory);
  onTestFinished(() => {
    root.close();
    rmSync(directory, { recursive: true });
  });
});

function put(path: string, versions: readonly string[], needs: Needs = GLIBC): void {
  writeFileSync(join(directory, path), libraryDefining(versions, needs));
}

const machine = (options: VirtualRdmaCore = {}): void => layRdmaCore(directory, options);
const found = (demands: Partial<Demands> = {}): ReturnType<typeof rdmaCoreIn> =>
  rdmaCoreIn(root, { architecture: 'x64', oldestGlibc: '2.34', ...demands });

test('libmlx5, libibverbs and what they need, but nothing of glibc, and the provider under the name that libibverbs loads', () => {
  machine();
  expect(found()).toEqual({
    directory: DEBIAN,
    libraries: [
      { name: 'libmlx5.so.1', file: `${DEBIAN}/libmlx5.so.1.25.56.1` },
      { name: 'libibverbs.so.1', file: `${DEBIAN}/libibverbs.so.1` },
      { name: 'libnl-3.so.200', file: `${DEBIAN}/libnl-3.so.200` },
    ],
    provider: { name: 'libibverbs/libmlx5-rdmav34.so', file: `${DEBIAN}/libmlx5.so.1.25.56.1` },
  });
});

test('librdmacm comes along where the machine has it', () => {
  machine();
  put(`${DEBIAN}/librdmacm.so.1`, []);
  expect(found().libraries.map(({ name }) => name)).toContain('librdmacm.so.1');
});

test('Red Hat’s directory is looked into too, and arm64 has its own', () => {
  machine({ at: '/usr/lib64' });
  expect(found().directory).toBe('/usr/lib64');
  machine({ at: '/usr/lib/aarch64-linux-gnu', mlx5: { ...GLIBC, machine: 183 }, verbs: { ...GLIBC, machine: 183 } });
  expect(found({ architecture: 'arm64' }).directory).toBe('/usr/lib/aarch64-linux-gnu');
});

test('glibc 2.9 is older than 2.34, and 2.34 is no newer than itself', () => {
  machine({ mlx5: { ...GLIBC, versions: ['GLIBC_2.9', 'GLIBC_2.34', 'GLIBC_PRIVATE'] } });
  expect(found().directory).toBe(DEBIAN);
});

const refusals: [string, () => void, code: string, sentence: string][] = [
  ['has none', () => {}, 'RDMA_CORE_MISSING', 'no libmlx5.so.1 in /usr/lib/x86_64-linux-gnu or /usr/lib64'],
  [
    'has one older than 54',
    () => machine({ newest: 'MLX5_1.24' }),
    'RDMA_CORE_TOO_OLD',
    'libmlx5.so.1.25.56.1 lacks MLX5_1.25 and is older than rdma-core 54; its newest version is MLX5_1.24',
  ],
  [
    'has one that needs a newer glibc than containers have',
    () => machine({ verbs: { ...GLIBC, versions: ['GLIBC_2.38'] } }),
    'RDMA_CORE_UNFIT',
    'libibverbs.so.1 needs glibc 2.38, containers are said to have 2.34 or newer',
  ],
  [
    'has one for another architecture',
    () => machine({ mlx5: { ...GLIBC, machine: 183 } }),
    'RDMA_CORE_UNFIT',
    'libmlx5.so.1.25.56.1 is for another architecture (ELF machine 183, expected 62)',
  ],
  [
    'has one that is linked with musl',
    () => machine({ mlx5: { libraries: ['libc.musl-x86_64.so.1'] } }),
    'RDMA_CORE_MISSING',
    'libc.musl-x86_64.so.1, which /usr/lib/x86_64-linux-gnu/libmlx5.so.1.25.56.1 needs, is not in',
  ],
  [
    'lacks the provider',
    () => {
      machine();
      rmSync(join(directory, DEBIAN, 'libibverbs'), { recursive: true });
    },
    'RDMA_CORE_MISSING',
    'libibverbs/libmlx5-rdmav34.so, which libibverbs.so.1 loads, is not in',
  ],
  [
    'names a library by a path that leads elsewhere',
    () => machine({ mlx5: { libraries: ['../../../etc/passwd'] } }),
    'RDMA_CORE_MISSING',
    '../../../etc/passwd, which',
  ],
];

test.each(refusals)('a machine that %s is refused with the reason', (_which, prepare, code, sentence) => {
  prepare();
  expect(() => found()).toThrow(expect.objectContaining({ code, message: expect.stringContaining(sentence) }));
});

test('a file that is no library is refused with file and offset', () => {
  machine();
  rmSync(join(directory, DEBIAN, 'libibverbs.so.1'));
  writeFileSync(join(directory, DEBIAN, 'libibverbs.so.1'), 'no library');
  expect(() => found()).toThrow(/libibverbs\.so\.1: at offset 0x0: no ELF file/);
});
