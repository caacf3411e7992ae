// How a process ends whose calls may still be blocked in the kernel: process.exit waits for the pool's threads, so it would hang with them.
import { blockedCalls } from './lanes.ts';
import { loadNative } from './native.ts';

/** Everything that has to be cleaned up has been: nothing runs after this, not even what is written and not flushed. */
export function leave(status: number): never {
  if (blockedCalls() === 0) process.exit(status);
  try {
    loadNative().exitNow(status);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
  throw new Error('unreachable: SIGKILL cannot be caught');
}
