import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cached, cacheRoot } from './cache.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cache-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const writing = (text: string) => (directory: string) => {
  writeFileSync(join(directory, 'file'), text);
  return Promise.resolve();
};

const failing = (): Promise<void> => Promise.reject(new Error('connection reset'));

test('what was downloaded once is not downloaded again', async () => {
  await cached('npm/a-1', writing('first'), root);
  const directory = await cached('npm/a-1', writing('second'), root);
  expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('first');
});

test('a download that failed leaves nothing behind, and the next one is tried', async () => {
  await expect(cached('npm/a-1', failing, root)).rejects.toThrow('connection reset');
  expect(readdirSync(join(root, 'npm'))).toEqual([]);
  const directory = await cached('npm/a-1', writing('second'), root);
  expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('second');
});

test('two runs that download the same at once both get it', async () => {
  const directories = await Promise.all([cached('a', writing('x'), root), cached('a', writing('x'), root)]);
  expect(directories).toEqual([join(root, 'a'), join(root, 'a')]);
  expect(readdirSync(root)).toEqual(['a']);
});

test('the place is DATA_DIRECT_CACHE, else below XDG_CACHE_HOME, else below ~/.cache', () => {
  expect(cacheRoot({ DATA_DIRECT_CACHE: '/c', XDG_CACHE_HOME: '/x' })).toBe('/c/image');
  expect(cacheRoot({ XDG_CACHE_HOME: '/x' })).toBe('/x/data-direct/image');
  expect(cacheRoot({})).toMatch(/\/\.cache\/data-direct\/image$/);
});
