// Many waits of the same length with one timer between them: whichever began first ends first, so only the first needs one.
import type { Clock } from './host.ts';

interface Deadline {
  readonly at: number;
  readonly pass: () => void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #milliseconds: number;
  /** In the order of their time. */
  readonly #pending = new Set<Deadline>();
  #watching: AbortController | undefined;

  constructor(clock: Clock, milliseconds: number) {
    this.#clock = clock;
    this.#milliseconds = milliseconds;
  }

  /** `pass` is called when the time is up, unless what comes back was called before. */
  begin(pass: () => void): () => void {
    const deadline = { at: this.#clock.now() + this.#milliseconds, pass };
    this.#pending.add(deadline);
    if (this.#watching === undefined) void this.#watch();
    return () => {
      this.#pending.delete(deadline);
      if (this.#pending.size === 0) this.#end();
    };
  }

  /** Sleeps until the first, then until the one that is the first by then. */
  async #watch(): Promise<void> {
    const watching = new AbortController();
    this.#watching = watching;
    for (const deadline of this.#pending) {
      await this.#clock.sleep(deadline.at - this.#clock.now(), watching.signal);
      if (this.#watching !== watching) return;
      if (this.#pending.delete(deadline)) deadline.pass();
    }
    this.#end();
  }

  /** Without a reason of our own Node makes an exception with a stack for it. */
  #end(): void {
    this.#watching?.abort('nobody waits');
    this.#watching = undefined;
  }
}
