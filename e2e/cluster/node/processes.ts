// Processes that outlive the rig: started so that they are on record before they run, and ended without ever
// hitting a stranger that was given the same process id.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { identityOf, isAlive, type ProcessIdentity } from '../../rig/process-identity.ts';
import { until } from '../../rig/wait.ts';

export interface Launch {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly log: string;
  /** Writes the process down. The program runs only after this; if this fails, never. */
  readonly record: (identity: ProcessIdentity) => Promise<void>;
}

const killTimeoutMs = 10_000;
/** exec keeps the process id and the start time. An end of input without "go" means that the rig is gone. */
const gate = 'read -r word && [ "$word" = go ] && exec "$@" </dev/null';

export async function launch({ command, env, log, record }: Launch): Promise<ProcessIdentity> {
  const output = await open(log, 'a');
  try {
    const child = spawn('/bin/sh', ['-c', gate, 'sh', ...command], {
      detached: true,
      cwd: '/',
      env,
      stdio: ['pipe', output.fd, output.fd],
    });
    await once(child, 'spawn');
    const pid = child.pid as number; // there is one after 'spawn'
    child.unref();
    try {
      const identity = await identityOf(pid);
      await record(identity);
      child.stdin?.write('go\n');
      return identity;
    } finally {
      child.stdin?.end();
    }
  } finally {
    await output.close();
  }
}

/** Asks the process to end, and makes it end when it has not after graceMs. */
export async function end(identity: ProcessIdentity, graceMs: number): Promise<void> {
  if (!(await isAlive(identity))) return;
  const gone = async (): Promise<string | undefined> => ((await isAlive(identity)) ? 'alive' : undefined);
  send(identity.pid, 'SIGTERM');
  const left = await until({ what: `process ${identity.pid} ending`, timeoutMs: graceMs, intervalMs: 50 }, gone).then(
    () => true,
    () => false,
  );
  if (left) return;
  await killAll(async () => ((await isAlive(identity)) ? [identity.pid] : []));
}

/** SIGKILL to whatever `find` names, again and again until it names nothing. */
export async function killAll(find: () => Promise<readonly number[]>): Promise<void> {
  await until({ what: 'the end of all processes', timeoutMs: killTimeoutMs, intervalMs: 50 }, async () => {
    const pids = await find();
    for (const pid of pids) send(pid, 'SIGKILL');
    return pids.length === 0 ? undefined : `still there: ${pids.join(', ')}`;
  });
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it ended in between
  }
}
