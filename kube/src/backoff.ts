// How long to wait before asking again. Used by every loop of this room.
import { isKubeError } from './error.ts';

interface RetryLimits {
  firstMs: number;
  maxMs: number;
}

/** Doubles with each failure in a row from firstMs to maxMs, less a random half; never sooner than the server asked. */
export function retryDelay(failures: number, { firstMs, maxMs }: RetryLimits, error?: unknown): number {
  const whole = Math.min(maxMs, firstMs * 2 ** Math.max(0, failures - 1));
  const asked = isKubeError(error) ? (error.retryAfterMs ?? 0) : 0;
  return Math.max(notBefore(asked), whole * (1 - Math.random() / 2));
}

/** What a server asked us to wait, and up to a fifth more: thousands of clients may have been told the same. */
export function notBefore(ms: number): number {
  return ms * (1 + Math.random() / 5);
}

/** `ms` give or take a part of it, so that many clients that started together drift apart. */
export function jittered(ms: number, part: number): number {
  return ms * (1 + part * (2 * Math.random() - 1));
}
