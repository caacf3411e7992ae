// A reboot of the node, as far as its pods can tell one: all that runs on it ends at once, and what was in memory is gone. The control plane
// goes on; so does the network namespace.

import { rm } from 'node:fs/promises';
import { clusterError } from '../errors.ts';
import { cgroupProcesses } from './cgroups.ts';
import { ofTheNode } from './components.ts';
import { startComponents, stopComponent } from './control.ts';
import { layout } from './layout.ts';
import { makeMountNamespace } from './mount-namespace.ts';
import { unmountBelow } from './mounts.ts';
import { killAll } from './processes.ts';
import { readState } from './state.ts';

/** The caller holds the rig's lock. `whileDown`: for what else lies in memory, such as files in /run. */
export async function rebootNode(whileDown: () => Promise<void>): Promise<void> {
  const state = await readState();
  if (state === undefined) throw clusterError('NOT_UP', { trouble: 'it was not started' });
  for (const name of ofTheNode.toReversed()) await stopComponent(name);
  await killAll(podProcesses);
  await unmountBelow([layout.runtime, layout.kubeletRoot]);
  await rm(layout.runtime, { recursive: true, force: true });
  await makeMountNamespace(state.toolchain);
  await whileDown();
  for (const name of ofTheNode) await startComponents([name]);
}

/** Everything of the cluster but the control plane: pods, and the shims that containerd left. */
async function podProcesses(): Promise<number[]> {
  const kept = new Set(Object.values((await readState())?.processes ?? {}).map(({ pid }) => pid));
  return (await cgroupProcesses()).filter((pid) => !kept.has(pid));
}
