import { expect, test } from 'vitest';

import { labelChanges, labelsFor } from './labels.ts';
import { type NodeSketch, pathOf, policyOf, portDown, settledNode, unbound } from './testing.ts';

const excluded = pathOf(1, { state: 'Unavailable', reason: 'Excluded' });

test.each<[state: string, what: string, mode: 'Required' | 'Preferred' | 'Disabled', sketch: NodeSketch]>([
  ['ready', 'all paths are ready', 'Preferred', { paths: [pathOf(0), pathOf(1)] }],
  ['ready', 'the rest is excluded', 'Preferred', { paths: [pathOf(0), excluded] }],
  ['ready', 'data direct is not asked for', 'Disabled', { paths: [pathOf(0, unbound)] }],
  ['degraded', 'some path is not ready', 'Preferred', { paths: [pathOf(0), pathOf(1, portDown)] }],
  ['degraded', 'paths work without data direct', 'Preferred', { paths: [pathOf(0, unbound)] }],
  ['none', 'paths that are not ready are not handed out', 'Required', { paths: [pathOf(0, unbound)] }],
  ['none', 'all paths are excluded', 'Preferred', { paths: [excluded] }],
  ['none', 'there is no path', 'Preferred', { paths: [] }],
  ['none', 'the agent has not reported', 'Preferred', {}],
  ['none', 'the agent is silent', 'Preferred', { paths: [pathOf(0)], life: 'silent' }],
])('a node is %s when %s (%s)', (state, _what, dataDirect, sketch) => {
  const { assignment, object, life } = settledNode([policyOf('gb300', { dataDirect })], sketch);
  expect(labelsFor(assignment.resources, object, life)).toEqual({ 'datadirect.dev/path': state });
});

test('only what differs is changed, what no policy asks for is taken away, and labels of others stay', () => {
  const has = {
    'datadirect.dev/path': 'ready',
    'datadirect.dev/old': 'none',
    'datadirect.dev/pool': 'training',
    'example.com/path': 'ready',
    zone: 'a',
  };
  expect(labelChanges(has, { 'datadirect.dev/path': 'degraded' })).toEqual({
    'datadirect.dev/path': 'degraded',
    'datadirect.dev/old': null,
  });
  expect(
    labelChanges({ 'datadirect.dev/path': 'ready', zone: 'a' }, { 'datadirect.dev/path': 'ready' }),
  ).toBeUndefined();
});
