// The commands by which the rig and its tests talk to the running cluster: kubectl, helm, ctr.

import { join } from 'node:path';
import { type Output, run, type RunOptions } from '../../rig/run.ts';
import type { Toolchain } from '../toolchain/toolchain.ts';
import { layout } from './layout.ts';

const importTimeoutMs = 180_000;

export function runClient(
  toolchain: Toolchain,
  program: 'kubectl' | 'helm',
  args: readonly string[],
  options: RunOptions = {},
): Promise<Output> {
  const env = { KUBECONFIG: layout.kubeconfig, HOME: layout.clientHome, ...options.env };
  return run(join(toolchain.clients, program), args, { diesWithRig: true, ...options, env });
}

export async function ctrImport(toolchain: Toolchain, archive: string, signal?: AbortSignal): Promise<void> {
  const args = ['--address', layout.containerdSocket, '--namespace', 'k8s.io', 'images', 'import', archive];
  await run(join(toolchain.containerd, 'ctr'), args, { timeoutMs: importTimeoutMs, signal, diesWithRig: true });
}
