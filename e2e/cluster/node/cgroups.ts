// The cgroup that holds everything of the cluster: daemons, shims and pods. It is how nothing is missed at the end,
// not even processes whose parent died.

import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterError } from '../errors.ts';
import { until } from '../../rig/wait.ts';
import { layout } from './layout.ts';
import { mountsOf } from './mounts.ts';

const removeTimeoutMs = 10_000;

/** Every controller of cgroup v1 is a hierarchy of its own; cgroup v2 is one. The kubelet wants its root in each. */
async function directories(): Promise<string[]> {
  const mounts = (await mountsOf('/sys/fs/cgroup')).filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
  return mounts.map(({ path }) => join(path, layout.cgroup));
}

export async function makeCgroups(): Promise<void> {
  for (const directory of await directories()) await mkdir(directory, { recursive: true });
}

/** Pods are moved to cgroups below; a process in any hierarchy is ours. */
export async function cgroupProcesses(): Promise<number[]> {
  const found = new Set<number>();
  for (const top of await directories()) {
    for (const directory of await withChildren(top)) {
      const text = await readFile(join(directory, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const line of text.split('\n')) if (line !== '') found.add(Number(line));
    }
  }
  found.delete(0); // a process of another pid namespace, which this one cannot see
  return [...found];
}

/**
 * One hierarchy is enough to find a process by. In cgroup v1 it is that of the pids controller, which takes a process
 * without being set up first; in v2 there is but one, where a cgroup with children holds no processes: hence "rig".
 */
export async function joinCgroup(pid: number): Promise<void> {
  const tops = await directories();
  const top = tops.find((path) => path.includes('/pids/')) ?? tops[0];
  if (top === undefined)
    throw clusterError('MACHINE_UNSUPPORTED', { what: 'cgroups', found: 'none', needed: 'mounted' });
  const directory = join(top, 'rig');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'cgroup.procs'), String(pid));
}

/** Processes that were just killed keep their cgroup busy for a moment. */
export async function removeCgroups(): Promise<void> {
  await until({ what: `the removal of the cgroups called ${layout.cgroup}`, timeoutMs: removeTimeoutMs }, async () => {
    for (const top of await directories()) {
      for (const directory of await withChildren(top)) {
        const problem = await rmdir(directory).catch((error: NodeJS.ErrnoException) => error);
        if (problem !== undefined) return problem.message;
      }
    }
    return undefined;
  });
}

/** Deepest first, the top last; empty when there is no top. */
async function withChildren(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const children = entries.filter((entry) => entry.isDirectory());
  const below = await Promise.all(children.map((entry) => withChildren(join(directory, entry.name))));
  return [...below.flat(), directory];
}
