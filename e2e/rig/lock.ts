// One run at a time. The lock is the kernel's (flock), held by a child that ends when this process does, however it ends:
// there are no stale locks to judge.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { rigError } from './errors.ts';

export interface Lock {
  readonly file: string;
  readonly waitSeconds: number;
  /** Called once if the lock is not free at once. */
  readonly onWait?: () => void;
}

export async function withLock<T>(lock: Lock, work: () => Promise<T>): Promise<T> {
  const release = (await tryHold(lock.file, 0)) ?? (lock.onWait?.(), await tryHold(lock.file, lock.waitSeconds));
  if (release === undefined) throw rigError('LOCK_TIMED_OUT', { file: lock.file, seconds: lock.waitSeconds });
  try {
    return await work();
  } finally {
    await release();
  }
}

async function tryHold(file: string, waitSeconds: number): Promise<(() => Promise<void>) | undefined> {
  await mkdir(dirname(file), { recursive: true });
  // A session of its own: Ctrl-C must not free the lock while this process still clears up.
  const holder = spawn('flock', ['--timeout', String(waitSeconds), file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const exited = once(holder, 'exit').catch((error: unknown) => {
    throw rigError('COMMAND_MISSING', { command: 'flock' }, { cause: error });
  });
  const held = await Promise.race([once(holder.stdout, 'data').then(() => true), exited.then(() => false)]);
  if (!held) return undefined;
  return async () => {
    holder.stdin.end();
    await exited;
  };
}
