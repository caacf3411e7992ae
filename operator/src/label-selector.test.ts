import { expect, test } from 'vitest';

import { matches, selectorProblems } from './label-selector.ts';

const labels = { zone: 'a', gpu: 'gb300', empty: '' };

test.each([
  ['no selector', undefined, true],
  ['an empty selector', {}, true],
  ['an equal label', { matchLabels: { zone: 'a' } }, true],
  ['another value', { matchLabels: { zone: 'b' } }, false],
  ['a label the node lacks', { matchLabels: { rack: 'a' } }, false],
  ['a label whose name every object inherits', { matchLabels: { constructor: 'a' } }, false],
  [
    'an expression on a name that every object inherits',
    { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] },
    false,
  ],
  ['one of two labels', { matchLabels: { zone: 'a', gpu: 'h100' } }, false],
  ['In', { matchExpressions: [{ key: 'zone', operator: 'In', values: ['b', 'a'] }] }, true],
  ['In without the label', { matchExpressions: [{ key: 'rack', operator: 'In', values: ['a'] }] }, false],
  ['NotIn', { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }, false],
  ['NotIn without the label', { matchExpressions: [{ key: 'rack', operator: 'NotIn', values: ['a'] }] }, true],
  ['Exists with an empty value', { matchExpressions: [{ key: 'empty', operator: 'Exists' }] }, true],
  ['Exists without the label', { matchExpressions: [{ key: 'rack', operator: 'Exists' }] }, false],
  ['DoesNotExist', { matchExpressions: [{ key: 'rack', operator: 'DoesNotExist' }] }, true],
  ['DoesNotExist with the label', { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] }, false],
  [
    'labels and expressions together',
    { matchLabels: { zone: 'a' }, matchExpressions: [{ key: 'gpu', operator: 'DoesNotExist' }] },
    false,
  ],
] as const)('%s selects as Kubernetes does', (_what, selector, expected) => {
  expect(matches(selector as Parameters<typeof matches>[0], labels)).toBe(expected);
});

test.each([
  [
    { key: 'zone', operator: 'In' },
    'spec.nodeSelector.matchExpressions[0].values: operator In needs at least one value',
  ],
  [{ key: 'zone', operator: 'NotIn', values: [] }, 'operator NotIn needs at least one value'],
  [{ key: 'zone', operator: 'Exists', values: ['a'] }, 'operator Exists needs no values'],
  [{ key: 'zone', operator: 'Gt', values: ['1'] }, 'Gt is none of In, NotIn, Exists, DoesNotExist'],
  [{ key: 'a/b/c', operator: 'Exists' }, '"a/b/c" is not a label key'],
  [{ key: 'zone', operator: 'In', values: ['a b'] }, '"a b" is not a label value'],
])('an expression that cannot be meant is named: %j', (expression, problem) => {
  const selector = { matchExpressions: [expression] } as Parameters<typeof selectorProblems>[0];
  const problems = selectorProblems(selector, 'spec.nodeSelector');
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test('legal keys and values have no problem', () => {
  const matchLabels = { 'nvidia.com/gpu.present': 'true', 'node-role.kubernetes.io/worker': '' };
  const matchExpressions = [{ key: 'a', operator: 'In' as const, values: ['x', 'y_z-1.2'] }];
  expect(selectorProblems({ matchLabels, matchExpressions }, 'spec.nodeSelector')).toEqual([]);
});
