// A reboot of the node, as far as its pods can tell one: all that runs on it ends at once, and what was in memory is gone. The control plane,
// which on a real cluster is another machine, goes on; so does the network namespace.

import { mkdir, rm } from 'node:fs/promises';
import { cgroupProcesses } from './cgroups.ts';
import { type ComponentName } from './components.ts';
import { startComponents, stopComponent } from './control.ts';
import { layout } from './layout.ts';
import { unmountBelow } from './mounts.ts';
import { killAll } from './processes.ts';
import { readState } from './state.ts';

const ofTheNode: readonly ComponentName[] = ['kubelet', 'kube-proxy', 'containerd'];

/** The caller holds the rig's lock. `whileDown`: for what else lies in memory, such as files in /run. */
export async function rebootNode(whileDown: () => Promise<void>): Promise<void> {
  for (const name of ofTheNode) await stopComponent(name);
  await killAll(podProcesses);
  await unmountBelow([layout.runtime, layout.kubeletRoot]);
  await rm(layout.runtime, { recursive: true, force: true });
  await mkdir(layout.runtime, { recursive: true });
  await whileDown();
  for (const name of ofTheNode.toReversed()) await startComponents([name]);
}

/** Everything of the cluster but the control plane: pods, and the shims that containerd left. */
async function podProcesses(): Promise<number[]> {
  const kept = new Set(Object.values((await readState())?.processes ?? {}).map(({ pid }) => pid));
  return (await cgroupProcesses()).filter((pid) => !kept.has(pid));
}
