// Calls that reach a device and may block in it: at most one a device is in flight, and the caller gets its answer or ETIMEDOUT in time.
// The same rule as the real host keeps; here a call blocks while the function that it reaches is wedged.
import type { Answer, Clock } from '../host/host.ts';
import { errno } from './kernel/errno.ts';

interface Blocked {
  readonly isWedged: () => boolean;
  readonly wake: () => void;
}

export interface DeviceCall<T> {
  /** Whom it is charged to. */
  readonly device: string;
  /** Named in an errno. */
  readonly what: string;
  /** Whether the function that it reaches does not answer at the moment. */
  readonly isWedged: () => boolean;
  readonly run: () => Answer<T>;
}

export class BlockingCalls {
  readonly #clock: Clock;
  readonly #budgetMs: number;
  /** By the device that is charged. */
  readonly #blocked = new Map<string, Blocked>();

  constructor(clock: Clock, budgetMs: number) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
  }

  async run<T>({ device, what, isWedged, run }: DeviceCall<T>): Promise<Answer<T>> {
    if (this.#blocked.has(device)) return errno('EBUSY', what);
    if (!isWedged()) return run();
    const asleep = new AbortController();
    const answered = new Promise<boolean>((resolve) => {
      this.#blocked.set(device, { isWedged, wake: () => resolve(true) });
    });
    const late = this.#clock.sleep(this.#budgetMs, asleep.signal).then(() => false);
    const inTime = await Promise.race([answered, late]);
    asleep.abort();
    return inTime ? run() : errno('ETIMEDOUT', what);
  }

  /** Something changed: calls whose function answers again end. */
  reconsider(): void {
    for (const [device, call] of this.#blocked) {
      if (call.isWedged()) continue;
      this.#blocked.delete(device);
      call.wake();
    }
  }
}
