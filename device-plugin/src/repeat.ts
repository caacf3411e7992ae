// Work that never ends by itself: again and again until a signal aborts, and after a failure not at once.
import { Backoff } from './backoff.ts';
import { delay } from './delay.ts';

const BACKOFF = { firstMs: 200, maxMs: 30_000 };

export async function repeat(
  signal: AbortSignal,
  onError: (error: unknown) => void,
  work: () => Promise<void>,
): Promise<void> {
  const backoff = new Backoff(BACKOFF);
  while (!signal.aborted) {
    try {
      await work();
      backoff.reset();
    } catch (error) {
      onError(error);
      await delay(backoff.delay(), signal);
    }
  }
}
