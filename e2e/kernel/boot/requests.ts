// Requests that were sent somewhere and wait for their answers, each with an end.

import { kernelError } from '../errors.ts';

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class Requests {
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #ended: Error | undefined;

  /** `what` as it reads in "… had no answer within 30 s". */
  make(what: string, timeoutMs: number, send: (id: number) => void): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      const timer = setTimeout(
        () => this.fail(id, kernelError('REQUEST_TIMED_OUT', { what, seconds: timeoutMs / 1000 })),
        timeoutMs,
      );
      this.#pending.set(id, { resolve, reject, timer });
      send(id);
    });
  }

  finish(id: number, value: unknown): void {
    this.#take(id)?.resolve(value);
  }

  fail(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  /** What waits now and what is asked later fails. */
  failAll(error: Error): void {
    this.#ended = error;
    this.failPending(error);
  }

  /** What waits now fails; what is asked later is asked. */
  failPending(error: Error): void {
    for (const id of this.#pending.keys()) this.fail(id, error);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }
}
