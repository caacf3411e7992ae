// Waiting that can be cut short.

/** Resolves after `milliseconds`, or as soon as the signal aborts. By the global timer, which tests can own. */
export function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
  });
}

/** Resolves with the promise, or when the signal aborts. Leaves no listener behind. */
export async function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = Promise.withResolvers<void>();
  const listener = (): void => aborted.resolve();
  signal.addEventListener('abort', listener);
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', listener);
  }
}

/** Whether the promise resolved within `milliseconds` and before the signal aborted. Leaves no timer behind. */
export async function within(
  milliseconds: number,
  promise: Promise<unknown>,
  signal: AbortSignal = new AbortController().signal,
): Promise<boolean> {
  const enough = new AbortController();
  const late = delay(milliseconds, AbortSignal.any([signal, enough.signal])).then(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    enough.abort();
  }
}
