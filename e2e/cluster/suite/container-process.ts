// A container as the node's kernel has it: its first process, and what /proc and the cgroups say of that.
import { readdir, readFile } from 'node:fs/promises';

import type { V1Pod } from '@kubernetes/client-node';

export type ProcessStatus = Readonly<Record<string, string>>;

/** Of the pod's only container. */
export async function mainProcess(pod: V1Pod): Promise<number> {
  const id = pod.status?.containerStatuses?.[0]?.containerID?.replace('containerd://', '');
  if (!id) throw new Error(`pod ${pod.metadata?.name} has no container yet`);
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const cgroups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''); // it may have ended by now
    if (cgroups.includes(id) && isFirst(await processStatus(Number(pid)))) return Number(pid);
  }
  throw new Error(`no process of container ${id}`);
}

/** Of its own pid namespace, which is the last of those that NSpid lists (man 5 proc_pid_status). */
function isFirst({ NSpid = '' }: ProcessStatus): boolean {
  return NSpid.split(/\s+/).at(-1) === '1';
}

/** /proc/PID/status by field name. Empty for a process that has ended. */
export async function processStatus(pid: number): Promise<ProcessStatus> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]));
}

/** How the process sees its root directory mounted (man 5 proc_pid_mountinfo). */
export async function rootMountOptions(pid: number): Promise<readonly string[]> {
  const mounts = (await readFile(`/proc/${pid}/mountinfo`, 'utf8')).split('\n').map((line) => line.split(' '));
  return mounts.findLast(([, , , , path]) => path === '/')?.[5]?.split(',') ?? [];
}
