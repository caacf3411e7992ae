// How soon it is registered again, after what.
import { beforeEach, expect, test } from 'vitest';

import { Pace } from './pace.ts';

let pace: Pace;
beforeEach(() => (pace = new Pace()));

const times = (count: number, answer: () => number): number[] => Array.from({ length: count }, answer);

test('twenty streams that break at once, one after the other, are each mended within a second, most within 100 ms', () => {
  const pauses = times(20, () => pace.afterEnd(0)).toSorted((a, b) => a - b);
  expect(pauses[9]).toBeLessThan(100);
  expect(pauses.at(-1)).toBeLessThan(1000);
});

test('two agents that take each other’s place for ever do so every few seconds, and not in step', () => {
  times(40, () => pace.afterEnd(50));
  const pauses = times(20, () => pace.afterEnd(50));
  for (const pause of pauses) expect(pause).toSatisfy((ms: number) => ms >= 5000 && ms <= 10_000);
  expect(new Set(pauses).size).toBeGreaterThan(1);
});

test('a stream that broke after it had held is mended at once, whatever was before', () => {
  times(40, () => pace.afterEnd(0));
  expect(pace.afterEnd(2000)).toBeLessThanOrEqual(10);
});

test('a kubelet that refuses is asked at longer and longer intervals, and never less often than every ten seconds', () => {
  expect(pace.afterFailure()).toBeLessThanOrEqual(10);
  times(12, () => pace.afterFailure());
  expect(pace.afterFailure()).toSatisfy((ms: number) => ms >= 5000 && ms <= 10_000);
});

test('a registration that came about ends the waits for those that did not', () => {
  times(12, () => pace.afterFailure());
  pace.afterEnd(0);
  expect(pace.afterFailure()).toBeLessThanOrEqual(10);
});

test('another kubelet is met without any of it', () => {
  times(12, () => pace.afterFailure());
  times(40, () => pace.afterEnd(0));
  pace.reset();
  expect(pace.afterFailure()).toBeLessThanOrEqual(10);
  expect(pace.afterEnd(0)).toBeLessThanOrEqual(10);
});
