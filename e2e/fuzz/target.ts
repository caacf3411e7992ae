// What a thing to be fuzzed is: what is made up at random, and what has to hold whatever it is.

import * as fc from 'fast-check';

export interface Target {
  readonly name: string;
  /** What has to hold, as it reads in a list. */
  readonly holds: string;
  /** Throws where it does not hold. */
  readonly property: fc.IRawProperty<unknown>;
  /** The `index`th case that a seed makes. */
  readonly sample: (seed: number, index: number) => unknown;
}

export function target<T>(
  name: string,
  holds: string,
  cases: fc.Arbitrary<T>,
  check: (value: T) => Promise<void> | void,
): Target {
  return {
    name,
    holds,
    property: fc.asyncProperty(cases, async (value) => check(value)) as fc.IRawProperty<unknown>,
    sample: (seed, index) => fc.sample(cases, { seed, numRuns: index + 1 }).at(-1),
  };
}

/** For what must hold; the sentence says what was found instead. */
export function must(holds: boolean, sentence: () => string): asserts holds {
  if (!holds) throw new Error(sentence());
}

/** Bytes of every length: short ones at random, long ones that repeat. */
export function bytes(most: number): fc.Arbitrary<Buffer> {
  const short = fc.uint8Array({ maxLength: Math.min(most, 256) }).map((array) => Buffer.from(array));
  const long = fc
    .tuple(fc.nat(most), fc.uint8Array({ minLength: 1, maxLength: 16 }))
    .map(([length, pattern]) => Buffer.alloc(length, pattern));
  return fc.oneof({ weight: 2, arbitrary: short }, { weight: 1, arbitrary: long });
}

/** A valid thing with some of its bytes changed, cut short or doubled. */
export function damaged(valid: Buffer): fc.Arbitrary<Buffer> {
  const changes = fc.array(fc.tuple(fc.nat(Math.max(valid.length - 1, 0)), fc.nat(0xff)), { maxLength: 8 });
  const ends = fc.oneof(
    { weight: 3, arbitrary: fc.constant(valid.length) },
    { weight: 1, arbitrary: fc.nat(valid.length) },
  );
  return fc.tuple(changes, ends, fc.boolean()).map(([all, end, doubled]) => {
    const copy = Buffer.from(valid);
    for (const [at, value] of all) copy[at] = value;
    const cut = copy.subarray(0, end);
    return doubled ? Buffer.concat([cut, cut]) : cut;
  });
}

/** From the first again after the last. */
export function inTurn<T>(all: readonly T[]): () => T | undefined {
  let index = 0;
  return () => all[index++ % all.length];
}
