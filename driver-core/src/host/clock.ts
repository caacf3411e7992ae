// The machine's own time behind the clock's door.
import type { Clock } from './host.ts';

export const systemClock: Clock = {
  /** Not performance.now, which loads the whole of perf_hooks. */
  now: () => Number(process.hrtime.bigint()) / 1e6,
  date: () => new Date(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(milliseconds, 0));
      signal?.addEventListener('abort', wake);
    }),
};
