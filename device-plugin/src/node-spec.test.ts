// What the agent follows comes from outside, and names in it become sockets, files and CDI kinds.
import { expect, test } from 'vitest';

import { nodeSpec } from './node-spec.ts';

const named = (name: string): unknown => ({ resources: [{ name, policy: 'p', policyGeneration: 1 }] });

test.each([
  '../../../../etc/passwd',
  '..',
  'a/b',
  'a.b',
  'A',
  '',
  '-a',
  'a\n',
  'a\0b',
  'a'.repeat(41),
  'päth',
  'x',
  '400g',
])('a resource named %j is refused, with the field', (name) => {
  expect(() => nodeSpec(named(name), 'DataDirectNode node-1', { unknownFields: 'drop' })).toThrow(
    /DataDirectNode node-1: resources\[0\]\.name/,
  );
});

test('two resources of one name are refused', () => {
  const document = { resources: [0, 1].map(() => ({ name: 'path', policy: 'p', policyGeneration: 1 })) };
  expect(() => nodeSpec(document, 'spec.json', { unknownFields: 'refuse' })).toThrow('two resources are named path');
});

test.each([
  [{ verification: { interval: '0s' } }, 'resources[0].verification.interval must be at least 10s, got 0s'],
  [{ verification: { interval: '9s' } }, 'resources[0].verification.interval must be at least 10s, got 9s'],
  [{ environment: { extra: { 'A=B': '1' } } }, 'resources[0].environment.extra must be variables with names like'],
  [{ environment: { extra: { '': '1' } } }, 'resources[0].environment.extra must be variables with names like'],
])('a file does not get round what the API server checks by CEL: %j', (resource, problem) => {
  const document = { resources: [{ name: 'path', policy: 'p', policyGeneration: 1, ...resource }] };
  expect(() => nodeSpec(document, 'spec.json', { unknownFields: 'refuse' })).toThrow(`spec.json: ${problem}`);
});
