// Starting, stopping and judging the single processes of the node, with the state file kept true all the while.
// The callers hold the rig's lock.

import { join } from 'node:path';
import { clusterError } from '../errors.ts';
import { until } from '../../rig/wait.ts';
import { joinCgroup } from './cgroups.ts';
import { type Component, type ComponentName, components, ofTheNode } from './components.ts';
import { unhealthy } from './health.ts';
import { layout } from './layout.ts';
import { inNamespaces } from './namespace.ts';
import { isAlive, type ProcessIdentity } from '../../rig/process-identity.ts';
import { end, launch } from './processes.ts';
import { readState, type RigState, writeState } from './state.ts';

const healthyTimeoutMs = 60_000;
const debianPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const logOf = (name: ComponentName): string => join(layout.logs, `${name}.log`);

/** Starts those that do not run yet, then waits until all of them work. */
export async function startComponents(names: readonly ComponentName[], signal?: AbortSignal): Promise<void> {
  for (const name of names) await launchComponent(name);
  await Promise.all(names.map((name) => waitUntilHealthy(name, signal)));
}

export async function stopComponent(name: ComponentName): Promise<void> {
  const state = await requireState();
  const identity = state.processes[name];
  if (identity === undefined) return;
  await end(identity, components(state.toolchain)[name].graceMs);
  const { [name]: _stopped, ...processes } = state.processes;
  await writeState({ ...state, processes });
}

/** What is wrong with it, or undefined. */
export async function troubleOf(name: ComponentName, state: RigState): Promise<string | undefined> {
  const identity = state.processes[name];
  if (identity === undefined) return 'is not running';
  if (!(await isAlive(identity))) return 'has ended by itself';
  return unhealthy(components(state.toolchain)[name]);
}

async function launchComponent(name: ComponentName): Promise<void> {
  const state = await requireState();
  const before = state.processes[name];
  if (before !== undefined && (await isAlive(before))) return;
  const { program, args }: Component = components(state.toolchain)[name];
  await launch({
    command: inNamespaces(program, args, { mounts: ofTheNode.includes(name) }),
    // containerd looks for its shim, and the shim for runc, on PATH.
    env: { PATH: `${state.toolchain.containerd}:${debianPath}`, HOME: layout.clientHome },
    log: logOf(name),
    async record(identity: ProcessIdentity) {
      await writeState({ ...state, processes: { ...state.processes, [name]: identity } });
      await joinCgroup(identity.pid);
    },
  });
}

async function waitUntilHealthy(name: ComponentName, signal?: AbortSignal): Promise<void> {
  const state = await requireState();
  const identity = state.processes[name];
  const wait = { what: `${name} (log: ${logOf(name)}) answering`, timeoutMs: healthyTimeoutMs, signal };
  await until(wait, async () => {
    if (identity === undefined || !(await isAlive(identity))) {
      throw clusterError('PROCESS_EXITED', { name, log: logOf(name) });
    }
    return unhealthy(components(state.toolchain)[name]);
  });
}

async function requireState(): Promise<RigState> {
  const state = await readState();
  if (state === undefined) throw clusterError('NOT_UP', { trouble: 'it was not started' });
  return state;
}
