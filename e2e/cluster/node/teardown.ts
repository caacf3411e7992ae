// Takes away whatever a cluster left on the machine, however it ended. Every step finds its work by looking at the
// machine, so it can be run at any time and as often as one likes.

import { lstat, readdir, readlink, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../rig/run.ts';
import { cgroupProcesses, removeCgroups } from './cgroups.ts';
import { layout, network } from './layout.ts';
import { unmountBelow } from './mounts.ts';
import { removeNamespace } from './namespace.ts';
import { isAlive } from '../../rig/process-identity.ts';
import { killAll } from './processes.ts';
import { currentBoot, type RigState, removeState } from './state.ts';
import { restoreSysctls } from './sysctls.ts';

/** `state` is what was on record; without it only what certainly is the rig's own is touched: not the kubelet's root. */
export async function tearDown(state: RigState | undefined): Promise<void> {
  await killAll(() => processesOf(state));
  const owned = [layout.runtime, layout.home, ...(state === undefined ? [] : [layout.kubeletRoot])];
  await unmountBelow(owned);
  await removeNamespace();
  await removeCgroups();
  if (state !== undefined) await restoreSysctls(state.sysctls);
  await removeLogLinks();
  await removeCniResults();
  // The state goes last: until then the next attempt still knows that these places are the rig's.
  for (const directory of owned.filter((path) => path !== layout.home)) await removeTree(directory);
  for (const entry of await namesIn(layout.home)) {
    const path = join(layout.home, entry);
    if (path !== layout.state) await removeTree(path);
  }
  await removeState();
  await removeTree(layout.home);
}

async function processesOf(state: RigState | undefined): Promise<number[]> {
  const recorded = state?.bootId === (await currentBoot()) ? Object.values(state.processes) : [];
  const alive = await Promise.all(recorded.map(isAlive));
  return [...recorded.filter((_, index) => alive[index]).map(({ pid }) => pid), ...(await cgroupProcesses())];
}

/** Everything was unmounted before; --one-file-system makes sure that a mistake there costs nothing outside. */
async function removeTree(path: string): Promise<void> {
  await run('rm', ['--recursive', '--force', '--one-file-system', '--', path]);
}

async function removeLogLinks(): Promise<void> {
  for (const name of await namesIn(layout.containerLogLinks)) {
    const link = join(layout.containerLogLinks, name);
    const isLink = (await lstat(link)).isSymbolicLink();
    if (isLink && (await readlink(link)).startsWith(layout.logs)) await unlink(link);
  }
  await removeIfEmpty(layout.containerLogLinks);
}

async function removeCniResults(): Promise<void> {
  for (const name of await namesIn(layout.cniResults)) {
    if (name.startsWith(`${network.cniName}-`)) await rm(join(layout.cniResults, name));
  }
  await removeIfEmpty(layout.cniResults);
  await removeIfEmpty(dirname(layout.cniResults));
}

async function removeIfEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTEMPTY') throw error;
  });
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
