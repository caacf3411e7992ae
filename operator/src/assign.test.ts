import type { NicSelector } from '@data-direct/crds';
import { dataDirectNodeSpecSchema } from '@data-direct/crds/schema';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type NodeFacts, assign } from './assign.ts';
import { readPolicies } from './policy.ts';
import { pathOf, policyOf, settledNode, specOf } from './testing.ts';

const bare: NodeFacts = { name: 'node-a', labels: { gpu: 'gb300' }, object: undefined };

test('a policy is compiled into an entry of each node that it selects', () => {
  const policies = readPolicies([
    policyOf('here', {
      nodeSelector: { matchLabels: { gpu: 'gb300' } },
      dataDirect: 'Required',
      exclude: [
        { node: 'node-a', nic: 'mlx5_3', reason: 'cable on order' },
        { node: 'node-b', nic: 'mlx5_0', reason: 'elsewhere' },
      ],
    }),
    policyOf('elsewhere', { resourceName: 'other', nodeSelector: { matchLabels: { gpu: 'h100' } } }),
  ]);
  const { resourceName: name, ...handOut } = specOf('path', { dataDirect: 'Required' });
  expect(assign(policies, bare)).toEqual({
    policies: ['here'],
    resources: [
      { name, policy: 'here', policyGeneration: 1, ...handOut, exclude: [{ nic: 'mlx5_3', reason: 'cable on order' }] },
    ],
    conflicts: [],
  });
});

test('of two policies with one resource name on a node the older wins; elsewhere the younger serves', () => {
  const policies = readPolicies([
    policyOf('younger'),
    policyOf('older', { nodeSelector: { matchLabels: { gpu: 'gb300' } } }, 1),
  ]);
  const here = assign(policies, bare);
  expect(here.resources.map(({ policy }) => policy)).toEqual(['older']);
  expect(here.conflicts).toEqual([{ policy: 'younger', holder: 'older', what: 'resource name path on node node-a' }]);
  expect(here.policies).toEqual(['older', 'younger']);
  expect(assign(policies, { ...bare, labels: {} })).toMatchObject({ policies: ['younger'], conflicts: [] });
});

test('two policies that select one NIC: both entries stand, the older first, and the younger is told NIC and node', () => {
  const older = policyOf('older', {}, 1);
  const younger = policyOf('younger', { resourceName: 'one', nics: { ibDevices: ['mlx5_1'] } });
  const { assignment } = settledNode([younger, older], { paths: [pathOf(0), pathOf(1)] });
  expect(assignment.resources.map(({ policy }) => policy)).toEqual(['older', 'younger']);
  expect(assignment.conflicts).toEqual([
    { policy: 'younger', holder: 'older', what: 'NIC mlx5_1 (0001:03:00.0) on node node-a' },
  ]);
});

test('a node has at most the 64 resources that its object can hold: the youngest policies wait, and say why', () => {
  const crowd = Array.from({ length: 66 }, (_, index) =>
    policyOf(`policy-${index}`, { resourceName: `r${index}` }, 66 - index),
  );
  const { resources, conflicts } = assign(readPolicies(crowd), bare);
  expect(dataDirectNodeSpecSchema.safeParse({ resources }).error).toBeUndefined();
  expect(resources).toHaveLength(64);
  expect(conflicts).toEqual(
    ['policy-64', 'policy-65'].map((policy) => ({
      policy,
      holder: 'policy-63',
      what: 'the last of 64 resources on node node-a',
    })),
  );
});

test('NICs that no agent has reported yet conflict with nobody', () => {
  const policies = [policyOf('older', {}, 1), policyOf('younger', { resourceName: 'one' })];
  expect(settledNode(policies).assignment.conflicts).toEqual([]);
});

test('a policy that became invalid keeps what it had on a node, and gets nothing new', () => {
  const { object } = settledNode([policyOf('gb300')]);
  const invalid = policyOf('gb300', {
    resourceName: 'renamed',
    nodeSelector: { matchExpressions: [{ key: 'gpu', operator: 'In' }] },
  });
  const policies = readPolicies([invalid]);
  expect(assign(policies, { ...bare, object }).resources).toEqual(object?.spec.resources);
  expect(assign(policies, bare)).toEqual({ policies: [], resources: [], conflicts: [] });
});

test('the order in which policies and paths are read makes no difference', () => {
  const sketch = fc.record({
    resourceName: fc.constantFrom('path', 'other', 'third'),
    nics: fc.constantFrom<NicSelector>({}, { ibDevices: ['mlx5_0'] }, { pciAddresses: ['0001:03:00.0'] }),
    age: fc.nat(2),
    selected: fc.boolean(),
  });
  const policies = fc.array(sketch, { maxLength: 6 }).map((list) =>
    list.map(({ resourceName, nics, age, selected }, index) => {
      const nodeSelector = { matchLabels: { gpu: selected ? 'gb300' : 'h100' } };
      return policyOf(`policy-${index}`, { resourceName, nics, nodeSelector }, age);
    }),
  );
  const shuffled = policies.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
  );
  fc.assert(
    fc.property(shuffled, ([inOrder, mixed]) => {
      const { object } = settledNode([], { paths: [pathOf(0), pathOf(1)] });
      const node = { ...bare, object };
      const result = assign(readPolicies(inOrder), node);
      expect(assign(readPolicies(mixed), node)).toEqual(result);
      const names = result.resources.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      for (const { policy, holder } of result.conflicts)
        expect(result.policies.indexOf(holder)).toBeLessThan(result.policies.indexOf(policy));
    }),
  );
});
