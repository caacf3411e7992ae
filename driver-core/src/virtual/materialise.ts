// Writes a virtual tree to a real directory, for tools that want files (rdma_topo with RDMA_TOPO_DEVDIR) and for people who want to look.
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { VirtualError } from './errors.ts';
import type { Directory, Tree } from './filesystem.ts';

/** The directory is made, or must be empty. A file that cannot be read in the tree (it answers an errno) is left out. */
export async function materialise(tree: Tree, directory: string): Promise<void> {
  try {
    const there = await entriesOf(directory);
    if (there.length > 0) throw new VirtualError('DIRECTORY_NOT_EMPTY', { directory });
    await write(tree.root, directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new VirtualError('DIRECTORY_UNUSABLE', { directory, problem: (error as Error).message }, { cause: error });
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  await mkdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return readdir(directory);
}

async function write(from: Directory, to: string): Promise<void> {
  for (const [name, entry] of from.entries) {
    const path = join(to, name);
    if (entry.kind === 'link') await symlink(entry.target, path);
    else if (entry.kind === 'file') {
      if (entry.fails === undefined) await writeFile(path, entry.content, { mode: entry.mode ?? 0o444 });
    } else {
      await mkdir(path);
      await write(entry, path);
    }
  }
}
