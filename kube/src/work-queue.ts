// Keys that want another look: each at most once in the queue, never two workers on one key, failures back off by key.
import { retryDelay } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';
import { isKubeError, KubeError } from './error.ts';

export interface WorkQueueOptions {
  /** One level-triggered round for a key. A throw means: again, later (after a KubeError's `retryAfterMs`, or back-off). */
  work: (key: string, signal: AbortSignal) => Promise<void>;
  /** Told of each failed round; for logs and metrics. */
  onError: (key: string, error: unknown, failures: number) => void;
  /** Keys worked on at the same time. Default 1. */
  workers?: number;
  /** Back-off of one key doubles from first to max, jittered. Default 500 ms to 5 min. */
  firstRetryMs?: number;
  maxRetryMs?: number;
  /** Different keys held; `add` of one more throws KUBE_QUEUE_FULL. Default 100 000. */
  limit?: number;
  clock?: Clock;
}

interface Entry {
  running: boolean;
  /** Asked for while running. */
  again: boolean;
  failures: number;
  /** When the server that refused the last round wants to be asked again at the earliest. */
  notBefore: number;
  later: { at: number; cancel: () => void } | undefined;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #clock: Clock;
  readonly #workers: number;
  readonly #limit: number;
  readonly #retry: { firstMs: number; maxMs: number };
  /** Every key that is ready, running, or due later. */
  readonly #entries = new Map<string, Entry>();
  /** Keys whose turn it is, first come first served. */
  readonly #ready = new Set<string>();
  readonly #rounds = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#workers = options.workers ?? 1;
    this.#limit = options.limit ?? 100_000;
    this.#retry = { firstMs: options.firstRetryMs ?? 500, maxMs: options.maxRetryMs ?? 300_000 };
  }

  /**
   * Asks for a round; during a round for the key, for one more after it.
   * A key that backs off is brought forward, but not nearer than the first back-off: a round may cause its own event.
   * The round makes earlier wishes by addAfter void: it wishes anew if it must.
   */
  add(key: string): void {
    const entry = this.#entry(key);
    if (entry.running) entry.again = true;
    else if (entry.failures > 0) this.addAfter(key, this.#retry.firstMs);
    else this.#makeReady(key, entry);
  }

  /**
   * Asks for a round in `ms`; of several such wishes the earliest counts, but none before a server that refused the last round wants to
   * be asked again. May be called from within `work`.
   */
  addAfter(key: string, ms: number): void {
    if (this.#stopping.signal.aborted) return;
    const entry = this.#entry(key);
    const at = Math.max(this.#clock.now() + ms, entry.notBefore);
    if (this.#ready.has(key) || (entry.later && entry.later.at <= at)) return;
    entry.later?.cancel();
    const due = (): void => {
      entry.later = undefined;
      if (entry.running) entry.again = true;
      else this.#makeReady(key, entry);
    };
    entry.later = { at, cancel: this.#clock.after(at - this.#clock.now(), due) };
  }

  /** Keys that wait, now or for a time, or are worked on. */
  get size(): number {
    return this.#entries.size;
  }

  /** Starts no further round, aborts the signal of those that run, and resolves when they are done. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const entry of this.#entries.values()) entry.later?.cancel();
    this.#entries.clear();
    this.#ready.clear();
    await Promise.all(this.#rounds);
  }

  #entry(key: string): Entry {
    const known = this.#entries.get(key);
    if (known) return known;
    const entry: Entry = { running: false, again: false, failures: 0, notBefore: 0, later: undefined };
    if (this.#stopping.signal.aborted) return entry;
    if (this.#entries.size >= this.#limit) {
      throw new KubeError('KUBE_QUEUE_FULL', `the work queue holds ${this.#limit} keys: ${key} was not taken`);
    }
    this.#entries.set(key, entry);
    return entry;
  }

  #makeReady(key: string, entry: Entry): void {
    if (this.#stopping.signal.aborted) return;
    entry.later?.cancel();
    entry.later = undefined;
    this.#ready.add(key);
    queueMicrotask(() => this.#startRounds());
  }

  #startRounds(): void {
    for (const key of this.#ready) {
      if (this.#rounds.size >= this.#workers) return;
      this.#ready.delete(key);
      const round = this.#round(key, this.#entry(key)).finally(() => {
        this.#rounds.delete(round);
        this.#startRounds();
      });
      this.#rounds.add(round);
    }
  }

  async #round(key: string, entry: Entry): Promise<void> {
    const { signal } = this.#stopping;
    entry.running = true;
    try {
      await this.#options.work(key, signal);
      entry.failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      entry.failures++;
      entry.notBefore = this.#clock.now() + (isKubeError(error) ? (error.retryAfterMs ?? 0) : 0);
      this.addAfter(key, retryDelay(entry.failures, this.#retry, error));
      this.#options.onError(key, error, entry.failures);
    } finally {
      entry.running = false;
    }
    if (entry.again) {
      entry.again = false;
      this.add(key);
    } else if (!entry.later) {
      this.#entries.delete(key);
    }
  }
}
