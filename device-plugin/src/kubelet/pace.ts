// How soon to register again. A stream that breaks is mended at once, and a kubelet that refuses is not asked all the time; between them
// are two agents that take each other's place for ever, and must not do it a hundred times a second.
import { Backoff } from '../backoff.ts';

/** The first is short because a kubelet binds its socket a moment before it listens. */
const FAILED = { firstMs: 10, maxMs: 10_000 };
/** Twenty in a row stay below a second, each of them; the longest is reached after thirty. */
const ENDED = { firstMs: 10, maxMs: 10_000, factor: 1.25 };
/** A registration that held so long was a good one: what ends it has nothing to do with what ended the one before. */
const SETTLED_MS = 2000;

export class Pace {
  readonly #failed = new Backoff(FAILED);
  readonly #ended = new Backoff(ENDED);

  /** Milliseconds to wait after a registration that did not come about. */
  afterFailure(): number {
    return this.#failed.delay();
  }

  /** Milliseconds to wait after one that did, was followed for `heldMs`, and ended although the kubelet is there. */
  afterEnd(heldMs: number): number {
    this.#failed.reset();
    if (heldMs >= SETTLED_MS) this.#ended.reset();
    return this.#ended.delay();
  }

  /** Another kubelet, or other options: nothing that was is held against it. */
  reset(): void {
    this.#failed.reset();
    this.#ended.reset();
  }
}
