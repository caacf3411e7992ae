// Downloads are kept outside of the checkout, one directory each, there whole or not at all.

import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { exists } from './tree.ts';

export function cacheRoot(environment: NodeJS.ProcessEnv): string {
  const all =
    environment['DATA_DIRECT_CACHE'] ?? join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'data-direct');
  return join(all, 'image');
}

/** The directory `name` below the cache; `fill` is called when it is not there yet. */
export async function cached(
  name: string,
  fill: (directory: string) => Promise<void>,
  root = cacheRoot(process.env),
): Promise<string> {
  const final = join(root, name);
  if (await exists(final)) return final;
  await mkdir(dirname(final), { recursive: true });
  const work = await mkdtemp(`${final}.unfinished-`);
  try {
    await fill(work);
    await rename(work, final);
  } catch (error) {
    // Another run may have finished the same directory meanwhile; a directory is never renamed over a full one.
    if (!(await exists(final))) throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return final;
}
