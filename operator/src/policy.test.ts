import type { DataDirectPathSpec } from '@data-direct/crds';
import { expect, test } from 'vitest';

import type { PolicyObject } from './objects.ts';
import { readPolicies } from './policy.ts';
import { policyOf, specOf } from './testing.ts';

function problemOf(spec: unknown): string | undefined {
  return readPolicies([{ ...policyOf('gb300'), spec } as PolicyObject])[0]?.problem;
}

test('policies are served oldest first, and by name among equals', () => {
  const names = readPolicies([policyOf('b', {}, 1), policyOf('young'), policyOf('a', {}, 1)]).map(({ name }) => name);
  expect(names).toEqual(['a', 'b', 'young']);
});

test.each([
  [undefined, 'spec must be an object, got nothing'],
  ['text', 'spec must be an object, got "text"'],
  [{}, 'spec.resourceName must be a string like'],
  [specOf('No Good'), 'spec.resourceName must be a string like'],
  [{ ...specOf('path'), nics: 1 }, 'spec.nics must be an object, got 1'],
  [{ ...specOf('path'), nics: { pciAddresses: 'all' } }, 'spec.nics.pciAddresses must be a list, got "all"'],
  [{ ...specOf('path'), nics: { ibDevices: [7] } }, 'spec.nics.ibDevices[0] must be a string'],
  [{ ...specOf('path'), dataDirect: 'Maybe' }, 'spec.dataDirect must be one of Required, Preferred, Disabled'],
  [{ ...specOf('path'), nodeSelector: [] }, 'spec.nodeSelector must be an object'],
  [{ ...specOf('path'), nodeSelector: { matchLabels: { a: 1 } } }, 'spec.nodeSelector.matchLabels.a must be a string'],
  [
    { ...specOf('path'), nodeSelector: { matchExpressions: [null] } },
    'spec.nodeSelector.matchExpressions[0] must be an object, got null',
  ],
  [{ ...specOf('path'), exclude: [{ node: 'a' }] }, 'spec.exclude[0].nic must be a string'],
  [{ ...specOf('path'), environment: null }, 'spec.environment must be an object, got null'],
  [{ ...specOf('path'), environment: { extra: { A: 1 } } }, 'spec.environment.extra.A must be a string'],
])('a spec of another shape is a problem that names the field: %j', (spec, problem) => {
  expect(problemOf(spec)).toContain(problem);
});

test('several problems are told at once', () => {
  expect(problemOf({ ...specOf('path'), nics: 1, exclude: 2 })).toBe(
    'spec.nics must be an object, got 1; spec.exclude must be a list, got 2',
  );
});

test('what a CRD without defaults leaves out is filled in', () => {
  const [policy] = readPolicies([{ ...policyOf('gb300'), spec: { resourceName: 'path' } } as PolicyObject]);
  expect(policy).toMatchObject({ spec: specOf('path') });
});

test('a field of a newer CRD is not taken for a problem', () => {
  expect(problemOf({ ...specOf('path'), colour: 'green' })).toBeUndefined();
});

test.each([
  ['NCCL_IB_DATA_DIRECT', 'set by spec.environment.nccl'],
  ['UCX_IB_DIRECT_NIC', 'set by spec.environment.ucx'],
  ['NVSHMEM_DISABLE_DATA_DIRECT', 'set by spec.environment.nvshmem'],
  ['NCCL_IB_HCA', 'set by spec.environment.scopeHca'],
  ['PCIDEVICE_DATADIRECT_DEV_PATH', 'always tells the container its paths'],
])('environment.extra may not set %s, which the agent sets', (name, why) => {
  const { environment } = specOf('path');
  const problem = problemOf(
    specOf('path', { environment: { ...environment, extra: { [name]: '1', NCCL_DEBUG: 'INFO' } } }),
  );
  expect(problem).toContain(`spec.environment.extra.${name}: `);
  expect(problem).toContain(why);
});

test('who switches our variable off may set it', () => {
  const { environment } = specOf('path');
  const extra = { NCCL_IB_DATA_DIRECT: '1' };
  expect(problemOf(specOf('path', { environment: { ...environment, nccl: false, extra } }))).toBeUndefined();
});

test('a policy cannot select nodes by the label that it sets itself', () => {
  expect(problemOf(specOf('path', { nodeSelector: { matchLabels: { 'datadirect.dev/path': 'ready' } } }))).toBe(
    'spec.nodeSelector: datadirect.dev/path is what DataDirectPath gb300 labels nodes with, it cannot be selected by',
  );
});

/** Nodes that the resource is not on. */
function without(resource: string): Pick<DataDirectPathSpec, 'nodeSelector'> {
  return { nodeSelector: { matchExpressions: [{ key: `datadirect.dev/${resource}`, operator: 'DoesNotExist' }] } };
}

test('of two policies that select by each other’s label, and so would undo each other for ever, the older stands', () => {
  const [older, younger, third] = readPolicies([
    policyOf('younger', { resourceName: 'path-b', ...without('path-a') }),
    policyOf('older', { resourceName: 'path-a', ...without('path-b') }, 1),
    policyOf('zone', { resourceName: 'path-c', nodeSelector: { matchLabels: { 'datadirect.dev/pool': 'training' } } }),
  ]);
  expect([older?.name, older?.problem, third?.problem]).toEqual(['older', undefined, undefined]);
  expect(younger?.problem).toBe(
    'spec.nodeSelector: datadirect.dev/path-a is what DataDirectPath older labels nodes with, it cannot be selected by; ' +
      'spec.resourceName: the label datadirect.dev/path-b is what the older DataDirectPath older selects nodes by',
  );
});
