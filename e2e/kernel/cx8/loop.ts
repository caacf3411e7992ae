// The one place where the server waits: poll(2) over all of its sockets, and work that is due later. One thread does everything, so
// a NIC reaches the memory of its DMA function by a plain call, without a lock, although each has a connection of its own.
import { performance } from 'node:perf_hooks';
import { poll, pollfd } from './native.ts';

const POLLIN = 1;
/** poll(2)'s word for it. */
const FOREVER = -1;

export interface Timers {
  /** Milliseconds on a clock that only goes forward. */
  now(): number;
  after(milliseconds: number, work: () => void): void;
}

export class Loop implements Timers {
  readonly #readers = new Map<number, () => void>();
  readonly #due: { at: number; work: () => void }[] = [];
  /** struct pollfd of each reader, in the order of the map; made anew when a reader comes or goes. */
  #set: Buffer | undefined;

  now(): number {
    return performance.now();
  }

  after(milliseconds: number, work: () => void): void {
    this.#due.push({ at: this.now() + milliseconds, work });
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
    const soonest = Math.min(...this.#due.map(({ at }) => at - this.now()));
    const wait = Math.max(0, Math.min(longestMs, soonest));
    return wait === Infinity ? FOREVER : Math.ceil(wait);
  }

  #doWhatIsDue(): void {
    const now = this.now();
    const due = this.#due.filter(({ at }) => at <= now);
    if (due.length === 0) return;
    this.#due.splice(0, this.#due.length, ...this.#due.filter(({ at }) => at > now));
    for (const { work } of due) work();
  }
}
