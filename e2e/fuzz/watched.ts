// The thread that fuzzes, watched from outside: a case that does not end, or that takes all memory, is a failure like any other.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Target } from './target.ts';
import type { Given, Outcome, Work } from './worker.ts';

export interface Limits {
  /** Without a case begun or ended. */
  readonly hangsMs: number;
  readonly heapMib: number;
}

/** No case takes a tenth of either, on a machine that does other things too. */
const LIMITS: Limits = { hangsMs: 20_000, heapMib: 512 };
const LOOKS = 20;

export class Watched {
  readonly #module: URL;
  readonly #targets: readonly Target[];
  readonly #limits: Limits;
  readonly #begun = new Int32Array(new SharedArrayBuffer(4));
  #worker: Worker;

  /** `module` exports the targets as TARGETS: a thread cannot be handed functions. */
  constructor(module: URL, targets: readonly Target[], limits = LIMITS) {
    this.#module = module;
    this.#targets = targets;
    this.#limits = limits;
    this.#worker = this.#start();
  }

  #start(): Worker {
    const given: Given = { module: this.#module.href, begun: this.#begun };
    const resourceLimits = { maxOldGenerationSizeMb: this.#limits.heapMib };
    return new Worker(new URL('worker.ts', import.meta.url), { workerData: given, resourceLimits });
  }

  async run(work: Work): Promise<Outcome> {
    const ended = new AbortController();
    const answer = once(this.#worker, 'message', { signal: ended.signal });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, not to a window
    this.#worker.postMessage(work);
    try {
      const [outcome] = (await Promise.race([answer, this.#hang(ended.signal)])) as [Outcome];
      return outcome;
    } catch (error) {
      void this.#worker.terminate();
      this.#worker = this.#start();
      return this.#lost(work, (error as Error).message);
    } finally {
      answer.catch(() => undefined);
      ended.abort();
    }
  }

  /** Never resolves; rejects when nothing moves for too long. */
  #hang(ended: AbortSignal): Promise<never> {
    const { hangsMs } = this.#limits;
    return new Promise((_, reject) => {
      let seen = -1;
      let since = performance.now();
      const timer = setInterval(() => {
        const now = Atomics.load(this.#begun, 0);
        if (now !== seen) since = performance.now();
        seen = now;
        if (performance.now() - since >= hangsMs) reject(new Error(`nothing for ${hangsMs / 1000} s`));
      }, hangsMs / LOOKS);
      ended.addEventListener('abort', () => clearInterval(timer));
    });
  }

  /** Nothing is made smaller then: the case is made again from its seed and its number. */
  #lost({ target, seed }: Work, problem: string): Outcome {
    const cases = Atomics.load(this.#begun, 0);
    const value = this.#targets.find(({ name }) => name === target)?.sample(seed, Math.max(cases - 1, 0));
    return { cases, failure: `${problem}, in case ${cases}:\n${JSON.stringify(value)}` };
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
