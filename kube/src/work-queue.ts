// Keys that want another look: each at most once in the queue, never two workers on one key, failures back off by key.
import type { Clock } from './clock.ts';

export interface WorkQueueOptions {
  /** One level-triggered round for a key. A throw means: again, later (after `retryAfterMs` of a KubeError, or back-off). */
  work: (key: string, signal: AbortSignal) => Promise<void>;
  /** Told of each failed round; for logs and metrics. */
  onError: (key: string, error: unknown, failures: number) => void;
  /** Keys worked on at the same time. Default 1. */
  workers?: number;
  /** Back-off of one key doubles from first to max, jittered. Default 100 ms to 5 min. */
  firstRetryMs?: number;
  maxRetryMs?: number;
  /** Different keys held; `add` of one more throws KUBE_QUEUE_FULL. Default 100 000. */
  limit?: number;
  clock?: Clock;
}

export declare class WorkQueue {
  constructor(options: WorkQueueOptions);
  /** Asks for a round; during a round for the key, for one more after it. */
  add(key: string): void;
  /** Asks for a round in `ms`; of several such wishes the earliest counts. May be called from within `work`. */
  addAfter(key: string, ms: number): void;
  /** Keys that wait, now or for a time, or are worked on. */
  get size(): number;
  /** Starts no further round, aborts the signal of those that run, and resolves when they are done. */
  stop(): Promise<void>;
}
