// Laying out files in a directory tree. What goes where is the callers' matter.

import { chmod, copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** The content and whether it may be executed; links are followed. */
export async function copyInto(tree: string, path: string, from: string): Promise<void> {
  const { mode } = await stat(from);
  await makeRoom(tree, path);
  await copyFile(from, join(tree, path));
  await chmod(join(tree, path), (mode & 0o111) === 0 ? 0o644 : 0o755);
}

export async function writeInto(tree: string, path: string, text: string): Promise<void> {
  await makeRoom(tree, path);
  await writeFile(join(tree, path), text);
  await chmod(join(tree, path), 0o644);
}

/** Relative paths of all files below `directory` of the tree, sorted. */
export async function filesBelow(tree: string, directory = '.'): Promise<string[]> {
  const entries = await readdir(join(tree, directory), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  return files.map((file) => relative(tree, file)).toSorted();
}

/** Directories get the modes of an installed system, whatever the umask of whoever builds. */
async function makeRoom(tree: string, path: string): Promise<void> {
  const parts = dirname(path).split('/');
  for (const [index] of parts.entries()) {
    const directory = join(tree, ...parts.slice(0, index + 1));
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o755);
  }
}
