// Waiting in the guest, always with an end.

import { setTimeout as sleep } from 'node:timers/promises';

const patienceMs = 50_000;

/** Until nothing is missing any more; an error that says what is, where that takes too long. */
export async function eventually(what: string, missing: () => string): Promise<void> {
  const end = performance.now() + patienceMs;
  for (let last = missing(); last !== ''; last = missing()) {
    if (performance.now() > end) throw new Error(`${what}: still missing after ${patienceMs / 1000} s: ${last}`);
    await sleep(20);
  }
}
