// Calls that may block in the kernel for minutes, kept from holding up anything but their own device. A blocked call cannot be ended: it keeps
// a thread of libuv's pool, and with all of them gone no file can be read (seen with four opens that hang). So one at a time for each device, and
// fewer in total than the pool has threads.
import { Deadlines } from './deadlines.ts';
import type { Answer, Clock } from './host.ts';
import { Errno } from './host.ts';

export interface LaneLimits {
  /** How long a caller waits before it is told ETIMEDOUT. */
  readonly budgetMs: number;
  /** Calls at the same time, all devices together. */
  readonly threads: number;
}

interface Lane {
  /** Settles when every call so far has really ended. */
  done: Promise<unknown>;
  /** A call is past its budget and has not ended. */
  blocked: boolean;
}

let blocked = 0;

/** Calls that nobody waits for any more and that still hold a thread, in this process. */
export function blockedCalls(): number {
  return blocked;
}

export class Lanes {
  readonly #deadlines: Deadlines;
  readonly #lanes = new Map<string, Lane>();
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(clock: Clock, { budgetMs, threads }: LaneLimits) {
    this.#deadlines = new Deadlines(clock, budgetMs);
    this.#free = threads;
  }

  /**
   * ETIMEDOUT when the call did not end in time, EBUSY while an earlier one of this device is blocked. `late` gets what a call brings that ends
   * after its caller was sent away, so that nothing leaks; it must not throw.
   */
  async run<T>(
    device: string,
    what: string,
    operation: () => Promise<Answer<T>>,
    late: (answer: Answer<T>) => void = () => undefined,
  ): Promise<Answer<T>> {
    const lane = this.#lane(device);
    if (lane.blocked) return new Errno('EBUSY', 16, what);
    const call = { started: false, cancelled: false };
    const work = this.#queue(lane, async () => {
      if (call.cancelled) return undefined;
      call.started = true;
      return operation();
    });
    const answer = await this.#within(work);
    if (answer !== undefined) return answer;
    call.cancelled = true;
    // Whoever waited behind the blocked call is no proof of anything: it never reached the device.
    if (lane.blocked) return new Errno('EBUSY', 16, what);
    if (call.started) this.#abandon(lane, work, late);
    return new Errno('ETIMEDOUT', 110, what);
  }

  /** Once every call of the device has ended. Waits no longer than the budget, and not at all for a blocked device. */
  async afterwards(device: string, operation: () => Promise<void>): Promise<void> {
    const lane = this.#lane(device);
    const work = this.#queue(lane, operation);
    if (!lane.blocked) await this.#within(work);
  }

  #lane(device: string): Lane {
    const known = this.#lanes.get(device);
    if (known) return known;
    const lane: Lane = { done: Promise.resolve(), blocked: false };
    this.#lanes.set(device, lane);
    return lane;
  }

  #queue<T>(lane: Lane, operation: () => Promise<T>): Promise<T> {
    const work = lane.done.then(() => this.#onThread(operation));
    // Whoever asked meets the failure; the next in the lane only needs to know that it ended.
    lane.done = work.catch(() => undefined);
    return work;
  }

  async #onThread<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await operation();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }

  /** Undefined when time is up. */
  #within<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const met = this.#deadlines.begin(() => resolve(undefined));
      work.finally(met).then(resolve, reject);
    });
  }

  #abandon<T>(lane: Lane, work: Promise<Answer<T> | undefined>, late: (answer: Answer<T>) => void): void {
    lane.blocked = true;
    blocked += 1;
    void work
      .then((answer) => (answer === undefined ? undefined : late(answer)))
      .catch(() => undefined)
      .finally(() => {
        lane.blocked = false;
        blocked -= 1;
      });
  }
}
