// A wish for another round: any number of rings before it is answered are one.
import { orAborted } from './delay.ts';

export class Bell {
  #next = Promise.withResolvers<void>();

  readonly ring = (): void => this.#next.resolve();

  /** Resolves when it has rung since the last answer, or when the signal aborts. For one listener. */
  async answer(signal: AbortSignal): Promise<void> {
    await orAborted(this.#next.promise, signal);
    this.#next = Promise.withResolvers();
  }
}
