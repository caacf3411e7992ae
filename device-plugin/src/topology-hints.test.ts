// On which nodes and kubelets a policy's wish for topology hints is refused.
import { expect, test } from 'vitest';

import { hintsRefusal } from './topology-hints.ts';

test.each([
  [2, 'v1.30.0', true],
  [4, undefined, true],
  [5, 'v1.35.9', false],
  [36, 'v1.35.2', false],
  [36, 'v1.36.0', true],
  [36, 'v1.36.0-alpha.1+k3s1', true],
  [36, 'v1.100.0', true],
  [36, 'v2.0.0', true],
  [36, undefined, false],
  [36, 'unknown', false],
])('%i NUMA nodes and kubelet %s: given %s', (numaNodes, kubeletVersion, isGiven) => {
  expect(hintsRefusal({ numaNodes, kubeletVersion }) === undefined).toBe(isGiven);
});

test('a refusal names the nodes, the kubelet and the first that can be told', () => {
  const refusal = hintsRefusal({ numaNodes: 36, kubeletVersion: 'v1.35.2' });
  expect(refusal).toContain('36 NUMA nodes');
  expect(refusal).toContain('kubelet v1.35.2');
  expect(refusal).toContain('1.36');
});
