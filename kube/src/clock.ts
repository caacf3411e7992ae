// Time as a door: everything in this room waits and measures through it, so that tests need no sleeps.

export interface Clock {
  /** Monotonic milliseconds: only differences mean anything. All waiting and measuring is by this. */
  now(): number;
  /** The wall's time: only for what is written into objects, never for deciding. */
  wallTime(): Date;
  /** Calls back once, `ms` from now; the answer cancels. A waiting callback keeps the process alive. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => new Date(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or as soon as `signal` aborts: the caller looks at the signal, as it must in its loop anyway. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = (): void => {
      cancel();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const cancel = clock.after(ms, wake);
    signal.addEventListener('abort', wake);
  });
}
