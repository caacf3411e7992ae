// Waiting that can be cut short.
import { setTimeout as timeout } from 'node:timers/promises';

/** Resolves after `milliseconds`, or as soon as the signal aborts. */
export async function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await timeout(milliseconds, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
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
