// Where built things are kept: outside of the checkout, one directory per part and inputs, there whole or not at all.

import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import type { Report } from './progress.ts';

const unfinished = '.unfinished-';
const lockWaitSeconds = 45 * 60;

/** `rig` is the name of whose things it holds. */
export function cacheRoot(env: NodeJS.ProcessEnv, rig: string): string {
  const root = env['DATA_DIRECT_CACHE'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'data-direct');
  return join(root, rig);
}

/** `etcd-3.6.5-0123456789ab`: a change of any input is another directory. */
export function cacheName(part: string, version: string, inputs: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 12);
  return `${part}-${version}-${hash}`;
}

export async function isCached(root: string, name: string): Promise<boolean> {
  return access(join(root, name)).then(
    () => true,
    () => false,
  );
}

/** Builds into a directory beside the final one and renames it: a run killed half-way leaves nothing that looks finished. */
export async function buildIntoCache(
  root: string,
  name: string,
  build: (directory: string) => Promise<void>,
): Promise<void> {
  await mkdir(root, { recursive: true });
  const directory = await mkdtemp(join(root, unfinished));
  try {
    await build(directory);
    await rename(directory, join(root, name));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `work` is the one run that may write to the cache. */
export async function withCache<T>(rig: string, report: Report, work: (root: string) => Promise<T>): Promise<T> {
  const root = cacheRoot(process.env, rig);
  const lock = {
    file: join(root, 'lock'),
    waitSeconds: lockWaitSeconds,
    onWait: () => report(`another run is building into ${root}: waiting for it`),
  };
  return withLock(lock, async () => {
    await removeUnfinished(root);
    return work(root);
  });
}

/** For the holder of the lock: whatever is unfinished belongs to a run that is gone. */
export async function removeUnfinished(root: string): Promise<void> {
  const names = await readdir(root);
  const leftovers = names.filter((name) => name.startsWith(unfinished));
  await Promise.all(leftovers.map((name) => rm(join(root, name), { recursive: true, force: true })));
}
