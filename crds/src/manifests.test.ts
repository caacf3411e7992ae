import { describe, expect, test } from 'vitest';
import type { z } from 'zod';

import { DEFINITIONS, type Definition, customResourceDefinition } from './manifests.ts';
import { dataDirectNodeSpecSchema, dataDirectPathSpecSchema } from './schema.ts';
import { structuralFaults } from './structural-rules.ts';
import { type StructuralSchema, toStructuralSchema, walk } from './structural.ts';

const parts = DEFINITIONS.flatMap((definition) =>
  (['spec', 'status'] as const).map((part) => ({
    name: `${definition.kind}.${part}`,
    schema: toStructuralSchema(definition[part]),
  })),
);

describe.each(parts)('$name', ({ name, schema }) => {
  test('is a structural schema', () => {
    expect(structuralFaults(schema, name)).toEqual([]);
  });

  test('tells kubectl explain what each field is', () => {
    const silent = [...walk(schema, name)].filter(([path, field]) => !/[\]}]$/.test(path) && !field.description);
    expect(silent.map(([path]) => path)).toEqual([]);
  });
});

describe.each(DEFINITIONS.map((definition) => ({ definition, manifest: customResourceDefinition(definition) })))(
  '$definition.kind',
  ({ definition, manifest }) => {
    const version = manifest.spec.versions[0];

    test('is named as the API server demands', () => {
      const { plural, singular, shortNames } = manifest.spec.names;
      expect(manifest.metadata.name).toBe(`${plural}.${manifest.spec.group}`);
      expect(new Set([plural, singular, ...shortNames]).size).toBe(2 + shortNames.length);
    });

    test('has status as a subresource, so that its writers need no right to change the spec', () => {
      expect(version?.subresources).toEqual({ status: {} });
    });

    test('has columns that point at fields which exist', () => {
      const unknown = definition.columns.filter(({ jsonPath }) => !leads(definition, jsonPath));
      expect(unknown).toEqual([]);
    });

    test('shows its age as the last of the ordinary columns', () => {
      expect(definition.columns.findLast(({ priority }) => priority === undefined)?.name).toBe('Age');
    });
  },
);

test('the last resource of a node can be taken away, which leaves a server-side apply without any spec', () => {
  const node = DEFINITIONS.find(({ kind }) => kind === 'DataDirectNode') as Definition;
  const { openAPIV3Schema } = customResourceDefinition(node).spec.versions[0]?.schema ?? {};
  expect(openAPIV3Schema?.required).toBeUndefined();
  expect(applyDefaults(openAPIV3Schema as StructuralSchema, {})).toMatchObject({ spec: { resources: [] } });
});

/** Whether a printer column's path ends in a scalar of the schema. */
function leads(definition: Definition, jsonPath: string): boolean {
  if (jsonPath === '.metadata.creationTimestamp') return true;
  const [part, ...names] = jsonPath
    .replace(/\[\?\(@\.type=="\w+"\)\]/, '[]')
    .slice(1)
    .split('.');
  if (part !== 'spec' && part !== 'status') return false;
  const fields = new Map(walk(toStructuralSchema(definition[part]), ''));
  const field = fields.get(`.${names.join('.')}`);
  return field !== undefined && !['object', 'array'].includes(field.type);
}

/** Defaulting as apiextensions-apiserver does it (pkg/apiserver/schema/defaulting): a missing property takes its default, then its own properties theirs. */
function applyDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (schema.items && Array.isArray(value))
    return value.map((item) => applyDefaults(schema.items as StructuralSchema, item));
  if (typeof value !== 'object' || value === null || !schema.properties) return value;
  const object: Record<string, unknown> = { ...value };
  for (const [name, property] of Object.entries(schema.properties)) {
    const filled = object[name] ?? property.default;
    if (filled !== undefined) object[name] = applyDefaults(property, filled);
  }
  return object;
}

test.each<[string, z.ZodType, unknown]>([
  ['the shortest policy', dataDirectPathSpecSchema, { resourceName: 'path' }],
  [
    'a policy with half of a nested object',
    dataDirectPathSpecSchema,
    { resourceName: 'path', environment: { ucx: false } },
  ],
  [
    'a policy that says it all',
    dataDirectPathSpecSchema,
    { resourceName: 'path', sharing: { replicas: 4 }, devices: { rdmaCm: true, umad: true } },
  ],
  ['a node without resources', dataDirectNodeSpecSchema, {}],
  [
    'a node with a resource',
    dataDirectNodeSpecSchema,
    { resources: [{ name: 'path', policy: 'gb300', policyGeneration: 1 }] },
  ],
])('the API server fills in for %s what the types promise', (_, schema, input) => {
  expect(applyDefaults(toStructuralSchema(schema), input)).toEqual(schema.parse(input));
});

test.each(['x', '400g', 'path-', '-path', 'pa.th'])(
  'a resource cannot be called %s, of which CDI can make no class',
  (name) => {
    expect(dataDirectPathSpecSchema.safeParse({ resourceName: name }).success).toBe(false);
    expect(
      dataDirectNodeSpecSchema.safeParse({ resources: [{ name, policy: 'p', policyGeneration: 1 }] }).success,
    ).toBe(false);
  },
);

test('a policy of one line is a whole policy', () => {
  expect(applyDefaults(toStructuralSchema(dataDirectPathSpecSchema), { resourceName: 'path' })).toEqual({
    resourceName: 'path',
    nics: {},
    dataDirect: 'Preferred',
    whenGpuUnknown: 'Off',
    sharing: { replicas: 1 },
    devices: { rdmaCm: false, umad: false },
    environment: { nccl: true, ucx: true, nvshmem: true, scopeHca: true },
    topologyHints: 'Never',
    verification: { level: 'Probe', interval: '10m' },
  });
});
