// When memory is given back.
import { execFileSync } from 'node:child_process';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { GiveBack } from './give-back.ts';

let done: string[];
const memory = {
  collect: () => void done.push('collect'),
  collectAll: () => void done.push('collect all'),
  trim: () => void done.push('trim'),
};
const givenBack = ['collect', 'collect all', 'trim'];

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

test('V8 leaves it to us', () => {
  const program = `
    import { GiveBack } from '${new URL('give-back.ts', import.meta.url).href}';
    new GiveBack();
    let garbage = Array.from({ length: 300_000 }, (_, each) => ({ each }));
    garbage = undefined;
    gc();
    setTimeout(() => undefined, 400);`;
  const flags = ['--expose-gc', '--trace-memory-reducer', '--gc-memory-reducer-start-delay-ms=10'];
  const source = ['--conditions=@data-direct/source', '--input-type=module', '--eval', program];
  const said = execFileSync(process.execPath, [...flags, ...source], { encoding: 'utf8' });
  expect(said).toContain('Memory reducer: '); // it was asked
  expect(said).not.toContain('waiting');
});
