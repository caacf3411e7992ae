// The rules of structural schemas that a zod schema can break without TypeScript noticing, so that no API server has to say so.
// The whole set: kubernetes.io, "Specifying a structural schema".
import { type StructuralSchema, walk } from './structural.ts';

const keywords = new Set(
  (
    'type description default enum format pattern minLength maxLength minimum maximum properties required additionalProperties ' +
    'maxProperties items maxItems x-kubernetes-list-type x-kubernetes-list-map-keys x-kubernetes-validations'
  ).split(' '),
);
const types = new Set(['object', 'array', 'string', 'integer', 'boolean']);

interface Rule {
  readonly holds: (schema: StructuralSchema) => boolean;
  readonly fault: (schema: StructuralSchema) => string;
}

const rules: readonly Rule[] = [
  {
    holds: (schema) => unknownKeywords(schema).length === 0,
    fault: (schema) =>
      `uses ${unknownKeywords(schema).join(', ')}; unions, references and strict objects cannot be had`,
  },
  {
    holds: (schema) => types.has(schema.type),
    fault: (schema) => `has type ${JSON.stringify(schema.type)}; expected one of ${[...types].join(', ')}`,
  },
  {
    holds: ({ additionalProperties }) => typeof additionalProperties !== 'boolean',
    fault: () => 'has a boolean for additionalProperties; use z.object, not z.strictObject or z.looseObject',
  },
  {
    holds: (schema) => !(schema.properties && schema.additionalProperties),
    fault: () => 'has both properties and additionalProperties',
  },
  {
    holds: (schema) => schema.type !== 'array' || schema.items !== undefined,
    fault: () => 'is an array without items',
  },
  {
    holds: (schema) => !/\(\?[=!<]|\\\d/.test(schema.pattern ?? ''),
    fault: (schema) =>
      `has pattern ${schema.pattern ?? ''}, which Go’s regexp does not take (look-around, back reference)`,
  },
  {
    holds: (schema) =>
      (schema['x-kubernetes-list-type'] === 'map') === Array.isArray(schema['x-kubernetes-list-map-keys']),
    fault: () => 'has a list type without keys, or keys without a list type',
  },
  {
    holds: (schema) => badMapKeys(schema).length === 0,
    fault: (schema) => `has list-map keys ${badMapKeys(schema).join(', ')} that are no required scalars of its items`,
  },
  {
    holds: (schema) => !schema['x-kubernetes-validations'] || isBounded(schema),
    fault: () => 'has a validation rule and no bound on its size: the API server would refuse the cost',
  },
];

function unknownKeywords(schema: StructuralSchema): string[] {
  return Object.keys(schema).filter((keyword) => !keywords.has(keyword));
}

function badMapKeys(schema: StructuralSchema): string[] {
  const { properties = {}, required = [] } = schema.items ?? {};
  const isKey = (key: string) =>
    required.includes(key) && !['object', 'array'].includes(properties[key]?.type ?? 'object');
  return (schema['x-kubernetes-list-map-keys'] ?? []).filter((key) => !isKey(key));
}

function isBounded(schema: StructuralSchema): boolean {
  const { type, maxLength, maxItems, maxProperties, properties = {} } = schema;
  if (type === 'string') return maxLength !== undefined;
  if (type === 'array') return maxItems !== undefined;
  return maxProperties !== undefined || Object.keys(properties).length > 0;
}

/** One sentence a fault; none for a schema that an API server takes. */
export function structuralFaults(root: StructuralSchema, path: string): string[] {
  return [...walk(root, path)].flatMap(([at, schema]) =>
    rules.filter((rule) => !rule.holds(schema)).map((rule) => `${at} ${rule.fault(schema)}`),
  );
}
