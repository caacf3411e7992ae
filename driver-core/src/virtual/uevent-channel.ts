// Who listens to uevents, each with a queue of its own that can overflow, like the receive buffer of a netlink socket (ENOBUFS = gap).
import type { Uevent } from '../host/host.ts';

const MOST_WAITING = 1024;

class Subscription {
  readonly #waiting: Uevent[] = [];
  #wake: (() => void) | undefined;

  push(event: Uevent): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#waiting.length = 0;
      this.#waiting.push({ kind: 'gap' });
    }
    this.#waiting.push(event);
    this.wake();
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async *drain(signal: AbortSignal): AsyncGenerator<Uevent> {
    while (!signal.aborted) {
      const event = this.#waiting.shift();
      if (event !== undefined) {
        yield event;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

export class UeventChannel {
  readonly #subscriptions = new Set<Subscription>();
  #sequence = 1000;

  /** Listens from now on, not from the first event asked for. */
  subscribe(signal: AbortSignal): AsyncIterable<Uevent> {
    const subscription = new Subscription();
    if (signal.aborted) return subscription.drain(signal);
    this.#subscriptions.add(subscription);
    signal.addEventListener(
      'abort',
      () => {
        this.#subscriptions.delete(subscription);
        subscription.wake();
      },
      { once: true },
    );
    return subscription.drain(signal);
  }

  send(event: Extract<Uevent, { kind: 'event' }>): void {
    this.#sequence += 1;
    this.#broadcast({ ...event, env: { ...event.env, SEQNUM: `${this.#sequence}` } });
  }

  /** Some events were lost. */
  gap(): void {
    this.#broadcast({ kind: 'gap' });
  }

  #broadcast(event: Uevent): void {
    for (const subscription of this.#subscriptions) subscription.push(event);
  }
}
