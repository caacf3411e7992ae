// Time that a test moves by hand, and a way to wait for real I/O without sleeping.
import type { Clock } from '../clock.ts';

interface Timer {
  at: number;
  callback: () => void;
}

export class ManualClock implements Clock {
  #now = 0;
  readonly #start: number;
  readonly #timers = new Set<Timer>();

  constructor(start = '2026-01-01T00:00:00Z') {
    this.#start = Date.parse(start);
  }

  now(): number {
    return this.#now;
  }

  wallTime(): Date {
    return new Date(this.#start + this.#now);
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Callbacks that wait. A thing that was stopped must leave none. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets `ms` pass: what falls due is called in order, each at its own time, with promises settled in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (let next = this.#next(); next && next.at <= end; next = this.#next()) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await turn();
    }
    this.#now = end;
    await turn();
  }

  /** Waits until something waits on this clock, lets time pass up to its end, and says how long that was. */
  async skip(): Promise<number> {
    await until(() => this.#timers.size > 0, 'something waits on the clock');
    const before = this.#now;
    await this.advance((this.#next()?.at ?? before) - before);
    return this.#now - before;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (!first || timer.at < first.at) first = timer;
    return first;
  }
}

/** One turn of the event loop: pending I/O and promises get on. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

const patienceMs = 10_000;

/** Lets the event loop turn until `condition` holds. Fails, naming `what`, after ten real seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what = condition.toString()): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await turn();
  }
}
