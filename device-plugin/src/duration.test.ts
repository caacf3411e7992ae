// What a policy's duration means.
import { expect, test } from 'vitest';

import { milliseconds } from './duration.ts';

test.each([
  ['10s', 10_000],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['90s1h', 3_690_000],
])('%s is %i ms', (duration, expected) => {
  expect(milliseconds(duration)).toBe(expected);
});
