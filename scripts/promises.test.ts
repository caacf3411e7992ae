// What the documents promise is there: `make` targets that they name, files that they link to. And `make` lists every target.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

const checkout = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(checkout, path), 'utf8');

const places = ['.', 'docs', 'e2e', 'driver-core'];
const skipped = /(^|\/)(node_modules|build|dist|\.\w+)\//;
const documents = places.flatMap((place) =>
  readdirSync(join(checkout, place), { recursive: place !== '.', encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !skipped.test(name))
    .map((name) => join(place, name)),
);

const makefile = read('Makefile');
const targets = new Set([...makefile.matchAll(/^\.PHONY: (\S+)$/gm)].map((match) => match[1] ?? ''));

test('make lists every command with a line of help', () => {
  const helped = [...makefile.matchAll(/^([a-z0-9-]+):.*## \S/gm)].map((match) => match[1]);
  expect(helped.toSorted()).toEqual([...targets].toSorted());
});

test.each(documents)('%s names commands that there are', (path) => {
  const inText = read(path).matchAll(/`make((?: [a-z][a-z0-9-]*)+)/g);
  const inBlocks = read(path).matchAll(/^ *make((?: [a-z][a-z0-9-]*)+)(?: [A-Z_]+=\S+)* *(?:#.*)?$/gm);
  const named = [...inText, ...inBlocks].flatMap((match) => match[1]?.trim().split(' ') ?? []);
  expect(named.filter((target) => !targets.has(target))).toEqual([]);
});

test.each(documents)('%s links to files that there are', (path) => {
  const links = [...read(path).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) => match[1] ?? '');
  expect(links.filter((link) => !existsSync(join(checkout, dirname(path), link)))).toEqual([]);
});

test('the documents are found', () => {
  expect(documents).toEqual(expect.arrayContaining(['README.md', 'docs/architecture.md', 'e2e/cluster/README.md']));
});
