// When memory is given back.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { GiveBack } from './give-back.ts';

const collect = vi.fn<() => void>();
beforeEach(() => {
  vi.useFakeTimers();
  collect.mockClear();
});
afterEach(() => {
  vi.useRealTimers();
});

test('once after the start', () => {
  const giveBack = new GiveBack(collect);
  vi.advanceTimersByTime(60_000);
  giveBack.worked();
  vi.advanceTimersByTime(60_000);
  expect(collect).toHaveBeenCalledTimes(1);
});

test('once after a burst, and not while it lasts', () => {
  const giveBack = new GiveBack(collect);
  vi.advanceTimersByTime(10_000);
  for (let call = 0; call < 1000; call += 1) {
    giveBack.worked();
    vi.advanceTimersByTime(20);
  }
  expect(collect).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(10_000);
  expect(collect).toHaveBeenCalledTimes(2);
});
