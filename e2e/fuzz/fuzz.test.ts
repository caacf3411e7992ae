// Every target for a moment, with the same cases each time; new cases for as long as one likes: fuzz.ts.

import { afterAll, beforeAll, expect, it } from 'vitest';

import { TARGETS } from './targets/index.ts';
import { Watched } from './watched.ts';

const SEED = 20_261_122;
const CASES = 300;
const MILLISECONDS = 3000;
/** More than it takes until the case that hangs is told of (watched.ts). */
const TIMEOUT_MS = 60_000;

let watched: Watched;
beforeAll(() => {
  watched = new Watched(new URL('targets/index.ts', import.meta.url), TARGETS);
});
afterAll(() => watched.close());

it.each(TARGETS.map(({ name, holds }) => [name, holds]))(
  '%s: %s',
  async (target) => {
    const { cases, failure } = await watched.run({ target, seed: SEED, cases: CASES, milliseconds: MILLISECONDS });
    expect(failure).toBeUndefined();
    expect(cases).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
