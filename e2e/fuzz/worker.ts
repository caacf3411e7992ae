// Runs targets in a thread of its own, so that one that hangs or eats all memory is told of by the main thread (watched.ts).

import { parentPort, workerData } from 'node:worker_threads';
import * as fc from 'fast-check';
import type { Target } from './target.ts';

export interface Work {
  readonly target: string;
  readonly seed: number;
  /** Stop after so many cases, or so much time, whichever comes first. */
  readonly cases: number;
  readonly milliseconds: number;
}

export interface Outcome {
  readonly cases: number;
  /** What failed, and the smallest case that still fails. */
  readonly failure: string | undefined;
}

export interface Given {
  /** A module that exports TARGETS. */
  readonly module: string;
  /** Shared with the main thread: how many cases of the present work were begun. */
  readonly begun: Int32Array;
}

const { module, begun } = workerData as Given;
const { TARGETS } = (await import(module)) as { readonly TARGETS: readonly Target[] };

parentPort?.on('message', (work: Work) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, not to a window
  void run(work).then((outcome) => parentPort?.postMessage(outcome));
});

async function run(work: Work): Promise<Outcome> {
  const found = TARGETS.find(({ name }) => name === work.target);
  if (!found) throw new Error(`no target ${work.target}`);
  const details = await fc.check(counting(found.property), {
    seed: work.seed,
    numRuns: work.cases,
    interruptAfterTimeLimit: work.milliseconds,
    markInterruptAsFailure: false,
    includeErrorInReport: true,
  });
  return { cases: details.numRuns, failure: details.failed ? await fc.asyncDefaultReportMessage(details) : undefined };
}

/** Counts cases up to the first that fails; those after it are made to find a smaller one. */
function counting(property: fc.IRawProperty<unknown>): fc.IRawProperty<unknown> {
  let failed = false;
  Atomics.store(begun, 0, 0);
  return {
    isAsync: () => property.isAsync(),
    generate: (random, runId) => property.generate(random, runId),
    shrink: (value) => property.shrink(value),
    runBeforeEach: () => property.runBeforeEach(),
    runAfterEach: () => property.runAfterEach(),
    run: async (value) => {
      if (!failed) Atomics.add(begun, 0, 1);
      const result = await property.run(value);
      failed ||= result !== null;
      return result;
    },
  };
}
