// When memory is given back.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { GiveBack } from './give-back.ts';

let done: string[];
const memory = { collect: () => void done.push('collect'), trim: () => void done.push('trim') };
const givenBack = ['collect', 'collect', 'trim'];

beforeEach(() => {
  vi.useFakeTimers();
  done = [];
});
afterEach(() => {
  vi.useRealTimers();
});

test('once after the start', () => {
  const giveBack = new GiveBack(memory);
  vi.advanceTimersByTime(60_000);
  giveBack.worked();
  vi.advanceTimersByTime(60_000);
  expect(done).toEqual(givenBack);
});

test('once after a burst, and not while it lasts', () => {
  const giveBack = new GiveBack(memory);
  vi.advanceTimersByTime(60_000);
  for (let call = 0; call < 1000; call += 1) {
    giveBack.worked();
    vi.advanceTimersByTime(20);
  }
  expect(done).toEqual(givenBack);
  vi.advanceTimersByTime(60_000);
  expect(done).toEqual([...givenBack, ...givenBack]);
});
