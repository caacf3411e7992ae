import { expect, test } from 'vitest';
import { isoWeek } from './debian.ts';

test.each([
  ['2026-11-22', '2026-W47'],
  ['2026-11-23', '2026-W48'],
  ['2027-01-01', '2026-W53'],
  ['2024-12-30', '2025-W01'],
  ['2023-01-01', '2022-W52'],
])('Debian packages of %s are those of the week %s', (day, week) => {
  expect(isoWeek(new Date(`${day}T12:00:00Z`))).toBe(week);
});
