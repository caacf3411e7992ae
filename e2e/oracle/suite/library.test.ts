// What driver-core reads in Debian's own libraries, against readelf and against what is known of the releases.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, inject, test } from 'vitest';

import { definedVersions, dependencies } from '../../../driver-core/src/library/elf.ts';
import { Root } from '../../../driver-core/src/library/root.ts';
import { runtimeLibraryIn } from '../../../driver-core/src/library/runtime-library.ts';
import { run } from '../../rig/run.ts';

test.each([
  ['libmlx5-44', { rdmaCore: '44.0', newest: 'MLX5_1.24', knowsDataDirect: false }],
  ['libmlx5-56', { rdmaCore: '56.1', knowsDataDirect: true }],
] as const)('%s: whether an image with it can do data direct', async (name, expected) => {
  const { path, from } = inject('oracles')[name];
  const root = await Root.open(path);
  try {
    const found = runtimeLibraryIn(root);
    expect(found).toMatchObject(expected);
    console.log(`${from.name} ${from.version}: ${found?.path.split('/').at(-1)} ends with ${found?.newest}`);
  } finally {
    root.close();
  }
});

test.each(['libmlx5-44', 'libmlx5-56'] as const)(
  '%s: what it defines and needs is what readelf prints',
  async (name) => {
    const { path } = inject('oracles')[name];
    const files = await libraries(path);
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      const { stdout } = await run('readelf', ['--version-info', '--wide', file]);
      const bytes = await readFile(file);
      expect([file, definedVersions(bytes, file)]).toEqual([file, printed(stdout)]);
      const { libraries: needed, versions } = dependencies(bytes, file);
      expect([file, versions]).toEqual([file, neededVersions(stdout)]);
      const dynamic = await run('readelf', ['--dynamic', '--wide', file]);
      expect([file, needed]).toEqual([file, neededLibraries(dynamic.stdout)]);
    }
    console.log(`${files.length} libraries`);
  },
);

/** Every shared library of the package, links among them left out. */
async function libraries(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.includes('.so'));
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  return paths.filter((_path, index) => (sizes[index] ?? 0) > 0);
}

/** `  0x001c: Rev: 1  Flags: none  Index: 2  Cnt: 1  Name: MLX5_1.0`, without the entry that has the flag BASE. */
function printed(text: string): string[] {
  return [...text.matchAll(/Rev: \d+ +Flags: (\S+) +Index: \d+ +Cnt: \d+ +Name: (\S+)$/gm)]
    .filter(([, flags]) => flags !== 'BASE')
    .map(([, , name = '']) => name);
}

/** `  0x0010:   Name: GLIBC_2.38  Flags: none  Version: 39` */
function neededVersions(text: string): string[] {
  return [...text.matchAll(/^ +0x[0-9a-f]+: +Name: (\S+) +Flags: \S+ +Version: \d+$/gm)].map(([, name = '']) => name);
}

/** `0x0000000000000001 (NEEDED)  Shared library: [libc.so.6]` */
function neededLibraries(text: string): string[] {
  return [...text.matchAll(/\(NEEDED\).*\[(.+)\]$/gm)].map(([, name = '']) => name);
}
