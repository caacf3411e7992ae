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
  /** What waits for the call in flight. A task does not reject. */
  readonly waiting: (() => Promise<void>)[];
  /** A call is in flight, or waits for a thread. */
  busy: boolean;
  /** The call in flight is past its budget and has not ended. */
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
  /** What begins as soon as there is a thread for it. */
  readonly #starved: (() => void)[] = [];
  #free: number;

  constructor(clock: Clock, { budgetMs, threads }: LaneLimits) {
    this.#deadlines = new Deadlines(clock, budgetMs);
    this.#free = threads;
  }

  /**
   * ETIMEDOUT when the call did not end in time, EBUSY while an earlier one of this device is blocked. `late` gets what a call brings that ends
   * after its caller was sent away, so that nothing leaks; it must not throw.
   */
  run<T>(
    device: string,
    what: string,
    operation: () => Promise<Answer<T>>,
    late: (answer: Answer<T>) => void = () => undefined,
  ): Promise<Answer<T>> {
    const lane = this.#lane(device);
    if (lane.blocked) return Promise.resolve(new Errno('EBUSY', 16, what));
    return new Promise((resolve, reject) => {
      const call = { started: false, expired: false };
      const met = this.#deadlines.begin(() => {
        call.expired = true;
        // Whoever waited behind the blocked call is no proof of anything: it never reached the device.
        resolve(lane.blocked ? new Errno('EBUSY', 16, what) : new Errno('ETIMEDOUT', 110, what));
        if (call.started) block(lane);
      });
      const endedLate = (): boolean => {
        if (call.expired) unblock(lane);
        else met();
        return call.expired;
      };
      this.#queue(lane, async () => {
        if (call.expired) return;
        call.started = true;
        await operation().then(
          (answer) => (endedLate() ? late(answer) : resolve(answer)),
          (error: unknown) => void (endedLate() || reject(error)),
        );
      });
    });
  }

  /** Once every call of the device has ended. Waits no longer than the budget, and not at all for a blocked device. */
  afterwards(device: string, operation: () => Promise<void>): Promise<void> {
    const lane = this.#lane(device);
    return new Promise((resolve, reject) => {
      const met = this.#deadlines.begin(resolve);
      this.#queue(lane, () => operation().finally(met).then(resolve, reject));
      if (lane.blocked) resolve();
    });
  }

  #lane(device: string): Lane {
    const known = this.#lanes.get(device);
    if (known) return known;
    const lane: Lane = { waiting: [], busy: false, blocked: false };
    this.#lanes.set(device, lane);
    return lane;
  }

  #queue(lane: Lane, task: () => Promise<void>): void {
    lane.waiting.push(task);
    if (!lane.busy) this.#next(lane);
  }

  #next(lane: Lane): void {
    const task = lane.waiting.shift();
    lane.busy = task !== undefined;
    if (task === undefined) return;
    const begin = (): void => void this.#onThread(lane, task);
    if (this.#free === 0) return void this.#starved.push(begin);
    this.#free -= 1;
    begin();
  }

  async #onThread(lane: Lane, task: () => Promise<void>): Promise<void> {
    await task();
    const next = this.#starved.shift();
    if (next) next();
    else this.#free += 1;
    this.#next(lane);
  }
}

function block(lane: Lane): void {
  lane.blocked = true;
  blocked += 1;
}

function unblock(lane: Lane): void {
  lane.blocked = false;
  blocked -= 1;
}
