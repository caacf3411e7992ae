// How long to wait before asking again. Used by every loop of this room.
import { isKubeError } from './error.ts';

export interface RetryLimits {
  firstMs: number;
  maxMs: number;
}

/** Doubles with each failure in a row from firstMs to maxMs, takes a random half off, and is never sooner than the server asked. */
export function retryDelay(failures: number, { firstMs, maxMs }: RetryLimits, error?: unknown): number {
  const whole = Math.min(maxMs, firstMs * 2 ** Math.max(0, failures - 1));
  const asked = isKubeError(error) ? (error.retryAfterMs ?? 0) : 0;
  return Math.max(asked, whole * (1 - Math.random() / 2));
}

/** `ms` give or take a part of it, so that many clients that started together drift apart. */
export function jittered(ms: number, part: number): number {
  return ms * (1 + part * (2 * Math.random() - 1));
}
