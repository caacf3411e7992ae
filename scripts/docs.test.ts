// The troubleshooting page has one section a reason, and no section without one.
import { readFileSync } from 'node:fs';

import { CONTAINER_REASONS, PATH_REASONS } from '@data-direct/crds';
import { expect, test } from 'vitest';

const page = readFileSync(new URL('../docs/troubleshooting.md', import.meta.url), 'utf8');
const sections = [...page.matchAll(/^### (\w+)$/gm)].map((match) => match[1]);

test('every reason has a section in the troubleshooting page, and every section is a reason', () => {
  expect(sections.toSorted()).toEqual([...Object.keys(PATH_REASONS), ...Object.keys(CONTAINER_REASONS)].toSorted());
});

test.each(Object.entries(PATH_REASONS))('the section on %s says its state', (reason, row) => {
  const section = page.split(`### ${reason}\n`)[1]?.trimStart().split('\n')[0];
  expect(section).toMatch(new RegExp(`^${row.state}[.,]`));
});
