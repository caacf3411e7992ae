import { describe, expect, test } from 'vitest';
import { neededLibraries } from './libraries.ts';

/** Files with what each needs; a library lies at /lib/<soname>. */
function door(needs: Readonly<Record<string, readonly string[]>>) {
  const reads: string[] = [];
  return {
    reads,
    readElf: (file: string) => {
      reads.push(file);
      const needed = needs[file];
      return Promise.resolve(needed && { machine: 62, needed, alignment: 4096 });
    },
    find: (soname: string) => Promise.resolve(`/lib/${soname}` in needs ? `/lib/${soname}` : undefined),
  };
}

describe('the libraries of an image', () => {
  test('are those the programs name and those that these name in turn, each once', async () => {
    const files = door({
      '/node': ['libstdc++.so.6', 'libc.so.6'],
      '/koffi.node': ['libgcc_s.so.1', 'libc.so.6'],
      '/lib/libstdc++.so.6': ['libm.so.6', 'libc.so.6'],
      '/lib/libgcc_s.so.1': ['libc.so.6'],
      '/lib/libm.so.6': ['libc.so.6'],
      '/lib/libc.so.6': ['ld-linux-x86-64.so.2'],
      '/lib/ld-linux-x86-64.so.2': [],
    });
    const found = await neededLibraries(['/node', '/koffi.node'], files);
    expect(Object.fromEntries(found)).toEqual({
      'libstdc++.so.6': '/lib/libstdc++.so.6',
      'libc.so.6': '/lib/libc.so.6',
      'libgcc_s.so.1': '/lib/libgcc_s.so.1',
      'libm.so.6': '/lib/libm.so.6',
      'ld-linux-x86-64.so.2': '/lib/ld-linux-x86-64.so.2',
    });
    expect(files.reads).toHaveLength(new Set(files.reads).size);
  });

  test('that need each other in a circle are found all the same', async () => {
    const found = await neededLibraries(['/a'], door({ '/a': ['b'], '/lib/b': ['c'], '/lib/c': ['b'] }));
    expect([...found.keys()]).toEqual(['b', 'c']);
  });

  test('that are in no package stop the build, with the name of the library and of the file that needs it', async () => {
    const files = door({ '/node': ['libatomic.so.1'] });
    await expect(neededLibraries(['/node'], files)).rejects.toThrow(/\/node needs libatomic\.so\.1/);
  });
});
