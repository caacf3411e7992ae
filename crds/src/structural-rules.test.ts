import { describe, expect, test } from 'vitest';
import { z } from 'zod';

import { structuralFaults } from './structural-rules.ts';
import { toStructuralSchema } from './structural.ts';

function faultsOf(field: z.ZodType): string[] {
  return structuralFaults(toStructuralSchema(z.object({ field })), 'spec');
}

describe('what an API server would refuse is found before it is written', () => {
  test.each<[string, z.ZodType, RegExp]>([
    ['a union', z.union([z.string(), z.int()]), /^spec.field uses anyOf; unions/],
    ['a strict object', z.strictObject({ a: z.string() }), /^spec.field has a boolean for additionalProperties/],
    ['anything at all', z.unknown(), /^spec.field has type undefined/],
    ['a number with fractions', z.number(), /^spec.field has type "number"/],
    ['a pattern with look-ahead', z.string().regex(/^(?!no)/), /^spec.field has pattern \^\(\?!no\), which Go/],
    [
      'a list-map key that may be absent',
      z
        .array(z.object({ id: z.string().optional() }))
        .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['id'] }),
      /^spec.field has list-map keys id that are no required scalars/,
    ],
    [
      'list-map keys without a list type',
      z.array(z.object({ id: z.string() })).meta({ 'x-kubernetes-list-map-keys': ['id'] }),
      /^spec.field has a list type without keys, or keys without/,
    ],
    [
      'a rule over an unbounded map',
      z.record(z.string(), z.string()).meta({ 'x-kubernetes-validations': [{ rule: 'true', message: 'never' }] }),
      /^spec.field has a validation rule and no bound/,
    ],
  ])('%s', (_, field, fault) => {
    expect(faultsOf(field)).toContainEqual(expect.stringMatching(fault));
  });

  test('a fault in a list of maps is told with its path', () => {
    expect(faultsOf(z.array(z.record(z.string(), z.number())))).toEqual([
      expect.stringMatching(/^spec\.field\[\]\{\} has type/),
    ]);
  });
});
