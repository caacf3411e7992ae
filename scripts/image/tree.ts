// Laying out and looking up files in directory trees. What goes where is the callers' matter.

import { access, chmod, copyFile, lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** The content only, links are followed: whether a file may be executed is for the caller to say. */
export async function copyInto(tree: string, path: string, from: string, mode = 0o644): Promise<void> {
  await makeRoom(tree, path);
  await copyFile(from, join(tree, path));
  await chmod(join(tree, path), mode);
}

export async function writeInto(tree: string, path: string, text: string): Promise<void> {
  await makeRoom(tree, path);
  await writeFile(join(tree, path), text);
  await chmod(join(tree, path), 0o644);
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Relative paths of all files below `directory` of the tree, sorted. */
export async function filesBelow(tree: string, directory = '.'): Promise<string[]> {
  const entries = await readdir(join(tree, directory), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  return files.map((file) => relative(tree, file)).toSorted();
}

/** Relative paths of all files that can be started. */
export async function executablesBelow(tree: string): Promise<string[]> {
  const files = await filesBelow(tree);
  const modes = await Promise.all(files.map(async (file) => (await lstat(join(tree, file))).mode));
  return files.filter((_, index) => ((modes[index] ?? 0) & 0o111) !== 0);
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
