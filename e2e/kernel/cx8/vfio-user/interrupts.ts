// MSI-X as the client gives it: one eventfd a vector, which it may replace at any time. The table itself is QEMU's business.
import { closeSync, writeSync } from 'node:fs';

const one = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

export class Interrupts {
  readonly #eventfds = new Map<number, number>();

  /** Takes the descriptor over; undefined = the vector goes nowhere. */
  set(vector: number, eventfd: number | undefined): void {
    const old = this.#eventfds.get(vector);
    if (old !== undefined) closeSync(old);
    if (eventfd === undefined) this.#eventfds.delete(vector);
    else this.#eventfds.set(vector, eventfd);
  }

  clear(): void {
    for (const eventfd of this.#eventfds.values()) closeSync(eventfd);
    this.#eventfds.clear();
  }

  /** A vector that nobody listens to is lost, as in hardware with the vector masked for good. */
  raise(vector: number): void {
    const eventfd = this.#eventfds.get(vector);
    if (eventfd !== undefined) writeSync(eventfd, one);
  }
}
