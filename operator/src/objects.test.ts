import { expect, test } from 'vitest';

import { type NodeObject, trimDataDirectNode, trimNode } from './objects.ts';
import { pathOf } from './testing.ts';

const metadata = { name: 'node-a', uid: 'u', resourceVersion: '7', labels: { a: 'b' } };

test('entries of a DataDirectNode that our types rule out are left out, the rest stays', () => {
  const found = {
    apiVersion: 'datadirect.dev/v1alpha1',
    kind: 'DataDirectNode',
    metadata,
    status: { observedGeneration: 1, paths: [null, 7, { id: 'x' }, pathOf(0)], resources: 'many', conditions: [null] },
  };
  expect(trimDataDirectNode(found as unknown as NodeObject)).toEqual({
    ...found,
    spec: { resources: [] },
    status: { observedGeneration: 1, paths: [pathOf(0)], resources: [], conditions: [] },
  });
});

test('of a Node only what is asked for is kept', () => {
  const found = { apiVersion: 'v1', kind: 'Node', metadata: { ...metadata, annotations: {} }, status: { images: [] } };
  expect(trimNode(found)).toEqual({ apiVersion: 'v1', kind: 'Node', metadata });
});
