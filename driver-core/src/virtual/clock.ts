// Time that a test owns: it stands still until it is moved.
import type { Clock } from '../host/host.ts';

interface Sleeper {
  readonly wakesAt: number;
  readonly wake: () => void;
}

export class ManualClock implements Clock {
  #now = 0;
  readonly #epoch: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start = new Date('2026-01-01T00:00:00Z')) {
    this.#epoch = start.getTime();
  }

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(this.#epoch + this.#now);
  }

  /** How many are asleep: a test waits for this before it moves the clock. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true || milliseconds <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        wakesAt: this.#now + milliseconds,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', sleeper.wake);
    });
  }

  /** Moves time; sleepers wake in the order of their hours. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = [...this.#sleepers].filter((sleeper) => sleeper.wakesAt <= this.#now);
    for (const sleeper of due.toSorted((a, b) => a.wakesAt - b.wakesAt)) sleeper.wake();
  }
}
