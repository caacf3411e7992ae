import { afterAll, beforeAll, expect, it } from 'vitest';

import { TARGETS } from './broken.fixture.ts';
import { Watched } from './watched.ts';

let watched: Watched;
beforeAll(() => {
  watched = new Watched(new URL('broken.fixture.ts', import.meta.url), TARGETS, { hangsMs: 4000, heapMib: 64 });
});
afterAll(() => watched.close());

const work = { seed: 1, cases: 50, milliseconds: 60_000 };

it('says nothing of what holds', async () => {
  expect(await watched.run({ ...work, target: 'good' })).toEqual({ cases: 50, failure: undefined });
});

it('tells the smallest case that fails, and why', async () => {
  const { failure } = await watched.run({ ...work, target: 'wrong' });
  expect(failure).toContain('Counterexample: [100]');
  expect(failure).toContain('100 is not small');
});

it.each([
  ['endless', 'nothing for 4 s'],
  ['silent', 'nothing for 4 s'],
  ['greedy', 'memory limit'],
])('tells of the case in which a target is %s, and goes on', async (target, problem) => {
  const { failure = '' } = await watched.run({ ...work, target });
  const [says, value] = failure.split('\n');
  expect(says).toContain(problem);
  expect(Number(value)).toBeGreaterThanOrEqual(100);
  expect(await watched.run({ ...work, target: 'good' })).toEqual({ cases: 50, failure: undefined });
});
