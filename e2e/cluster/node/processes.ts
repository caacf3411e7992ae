// Processes that outlive the rig: started so that they are on record before they run, and ended without ever
// hitting a stranger that was given the same process id.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { until } from '../wait.ts';

/** Together they name one process within one boot. The start time is field 22 of /proc/PID/stat, in clock ticks. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

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
      const identity = { pid, startTime: await startTimeOf(pid) };
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

async function startTimeOf(pid: number): Promise<string> {
  return parseStat(await readFile(`/proc/${pid}/stat`, 'utf8')).startTime;
}

/** A zombie has ended: only its parent has not asked yet. */
export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return false;
  const found = parseStat(stat);
  return found.startTime === startTime && !'ZX'.includes(found.state);
}

/** The second field is the program's name in parentheses and may itself hold spaces and parentheses (man 5 proc). */
export function parseStat(stat: string): { state: string; startTime: string } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[22 - 3] ?? '' };
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
