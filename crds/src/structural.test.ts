import { expect, test } from 'vitest';
import { z } from 'zod';

import { toStructuralSchema } from './structural.ts';

test('an integer has no bounds but its own', () => {
  expect(toStructuralSchema(z.int().min(0))).toEqual({ type: 'integer', format: 'int64', minimum: 0 });
});

test('a time is left to the API server, which knows the format', () => {
  expect(toStructuralSchema(z.iso.datetime())).toEqual({ type: 'string', format: 'date-time' });
});
