// What the agent follows comes from outside, and names in it become sockets, files and CDI kinds.
import { expect, test } from 'vitest';

import { nodeSpec } from './node-spec.ts';

const named = (name: string): unknown => ({ resources: [{ name, policy: 'p', policyGeneration: 1 }] });

test.each(['../../../../etc/passwd', '..', 'a/b', 'a.b', 'A', '', '-a', 'a\n', 'a\0b', 'a'.repeat(41), 'päth'])(
  'a resource named %j is refused, with the field',
  (name) => {
    expect(() => nodeSpec(named(name), 'DataDirectNode node-1', { unknownFields: 'drop' })).toThrow(
      /DataDirectNode node-1: resources\[0\]\.name/,
    );
  },
);

test('two resources of one name are refused', () => {
  const document = { resources: [0, 1].map(() => ({ name: 'path', policy: 'p', policyGeneration: 1 })) };
  expect(() => nodeSpec(document, 'spec.json', { unknownFields: 'refuse' })).toThrow('two resources are named path');
});
