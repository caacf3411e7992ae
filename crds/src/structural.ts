// From a zod schema to the structural OpenAPI v3 schema that an API server takes. What it would refuse is in structural-rules.ts.
import { z } from 'zod';

/** The part of OpenAPI v3 that CustomResourceDefinitions of ours use (apiextensions.k8s.io/v1 JSONSchemaProps). */
export interface StructuralSchema {
  type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  description?: string;
  default?: unknown;
  enum?: string[];
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, StructuralSchema>;
  required?: string[];
  additionalProperties?: StructuralSchema;
  maxProperties?: number;
  items?: StructuralSchema;
  maxItems?: number;
  'x-kubernetes-list-type'?: 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: { rule: string; message: string }[];
}

export function toStructuralSchema(schema: z.ZodType): StructuralSchema {
  return z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    override: ({ jsonSchema }) => {
      // What JavaScript can count to is no rule of ours; the format tells clients to use 64 bits.
      if (jsonSchema.type === 'integer') {
        jsonSchema.format = 'int64';
        if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      }
      // The API server knows the format; zod's pattern for it says the same in 300 characters.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
      readFirst(jsonSchema, ['description', 'type']);
    },
  }) as unknown as StructuralSchema;
}

/** Moves what a reader wants first to the front. */
function readFirst(schema: Record<string, unknown>, first: readonly string[]): void {
  for (const key of [...first, ...Object.keys(schema).filter((other) => !first.includes(other))]) {
    const value = schema[key];
    delete schema[key];
    if (value !== undefined) schema[key] = value;
  }
}

/** Every schema below and including this one, with its path as the API server would print it. */
export function* walk(schema: StructuralSchema, path: string): Generator<[path: string, schema: StructuralSchema]> {
  yield [path, schema];
  for (const [name, property] of Object.entries(schema.properties ?? {})) yield* walk(property, `${path}.${name}`);
  if (schema.items) yield* walk(schema.items, `${path}[]`);
  if (typeof schema.additionalProperties === 'object') yield* walk(schema.additionalProperties, `${path}{}`);
}
