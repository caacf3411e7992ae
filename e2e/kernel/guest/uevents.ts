// Collects what the kernel tells, while something is done to it in the guest or from outside.

import type { Host, Uevent } from '../../../driver-core/src/host/host.ts';

export type KernelEvent = Extract<Uevent, { kind: 'event' }>;
type Wanted = (event: KernelEvent) => boolean;

/** Listens from its making on. */
export class UeventListener {
  readonly #wanted: Wanted;
  readonly #listening = new AbortController();
  readonly #uevents: AsyncIterator<Uevent>;
  #next: Promise<IteratorResult<Uevent>>;

  constructor(host: Host, wanted: Wanted) {
    this.#wanted = wanted;
    this.#uevents = host.uevents(this.#listening.signal)[Symbol.asyncIterator]();
    this.#next = this.#uevents.next(); // the socket is opened here
  }

  /** As many as these, then it listens no longer. The request that waits for us has its own end. */
  async take(count: number): Promise<KernelEvent[]> {
    const found: KernelEvent[] = [];
    while (found.length < count) {
      const { value } = (await this.#next) as { value: Uevent };
      if (value.kind === 'event' && this.#wanted(value)) found.push(value);
      this.#next = this.#uevents.next();
    }
    this.#listening.abort();
    await this.#next;
    return found;
  }
}
