// Waiting for something outside to become true, always with an end.

import { setTimeout as sleep } from 'node:timers/promises';
import { rigError } from './errors.ts';

export interface Wait {
  /** What is waited for, as it reads in "… did not happen within 30 s". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Asks until the answer is undefined; any other answer is what is still missing. A probe that throws ends the wait. */
export async function until(wait: Wait, missing: () => Promise<string | undefined>): Promise<void> {
  const deadline = performance.now() + wait.timeoutMs;
  for (;;) {
    wait.signal?.throwIfAborted();
    const last = await missing();
    if (last === undefined) return;
    if (performance.now() >= deadline) {
      throw rigError('WAIT_TIMED_OUT', { what: wait.what, seconds: wait.timeoutMs / 1000, last });
    }
    await sleep(wait.intervalMs ?? 100, undefined, { signal: wait.signal });
  }
}
