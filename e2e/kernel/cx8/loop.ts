// The one place where the server waits: poll(2) over all of its sockets, and work that is due later. One thread does everything, so
// a NIC reaches the memory of its DMA function by a plain call, without a lock, although each has a connection of its own.
import { performance } from 'node:perf_hooks';
import { poll, pollfd } from './native.ts';

const POLLIN = 1;
/** poll(2)'s word for it. */
const FOREVER = -1;
/**
 * Whoever has more to do than this stops, and asks for the rest by after(0): every socket of the tray is looked at in between. QEMU gives up on
 * an answer after 5 s.
 */
export const TURN_MS = 10;

export interface Timers {
  /** Milliseconds on a clock that only goes forward. */
  now(): number;
  after(milliseconds: number, work: () => void): void;
}

export class Loop implements Timers {
  readonly #readers = new Map<number, () => void>();
  /** The soonest first; of equal ones, who asked first. */
  readonly #due: { at: number; work: () => void }[] = [];
  /** struct pollfd of each reader, in the order of the map; made anew when a reader comes or goes. */
  #set: Buffer | undefined;

  now(): number {
    return performance.now();
  }

  after(milliseconds: number, work: () => void): void {
    const at = this.now() + milliseconds;
    const before = this.#due.findLastIndex((other) => other.at <= at);
    this.#due.splice(before + 1, 0, { at, work });
  }

  /** `work` is called whenever the descriptor can be read or its other end is gone. */
  onReadable(fd: number, work: () => void): void {
    this.#readers.set(fd, work);
    this.#set = undefined;
  }

  forget(fd: number): void {
    this.#readers.delete(fd);
    this.#set = undefined;
  }

  /** Waits until something can be done, at most so long, and does it. */
  turn(longestMs: number): void {
    const fds = [...this.#readers.keys()];
    this.#set ??= Buffer.concat(fds.map((fd) => pollfd.encode({ fd, events: POLLIN })));
    const set = this.#set;
    if (poll(set, this.#untilDue(longestMs)) > 0) {
      const ready = fds.filter((_, index) => pollfd.read(set, index * pollfd.size).revents !== 0);
      // Work may close other descriptors: they are no longer in the map then.
      for (const fd of ready) this.#readers.get(fd)?.();
    }
    this.#doWhatIsDue();
  }

  #untilDue(longestMs: number): number {
    const soonest = (this.#due[0]?.at ?? Infinity) - this.now();
    const wait = Math.max(0, Math.min(longestMs, soonest));
    return wait === Infinity ? FOREVER : Math.ceil(wait);
  }

  /** As much of it as one turn has room for. What work asks for meanwhile is for later turns, behind all that is due now. */
  #doWhatIsDue(): void {
    const begun = this.now();
    const later = this.#due.findIndex(({ at }) => at > begun);
    for (let left = later < 0 ? this.#due.length : later; left > 0; left -= 1) {
      this.#due.shift()?.work();
      if (this.now() - begun >= TURN_MS) return;
    }
  }
}
