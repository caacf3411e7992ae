// Checks JSON from outside against a structural schema and fills in defaults; misfits are told by field path.
// Knows the few words our schemas use: zod costs 17 MiB at run time and ajv 12, on every node.

import { shown } from './shown.ts';

const LONGEST_SHOWN = 80;

export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Misfit {
  /** Such as `resources[0].sharing.replicas`; empty for the document itself. */
  readonly path: string;
  readonly expected: string;
  readonly got: string;
}

export interface Fitted {
  /** The value with defaults; only to be used when nothing misfits. */
  readonly value: unknown;
  readonly misfits: readonly Misfit[];
}

export interface FitOptions {
  /** What a person wrote must not have unknown fields; what a newer program wrote may. */
  readonly unknownFields: 'refuse' | 'drop';
}

export function fit(schema: Schema, value: unknown, options: FitOptions): Fitted {
  const misfits: Misfit[] = [];
  const report = (path: string, expected: string, got: string): undefined => {
    misfits.push({ path, expected, got });
  };
  return { value: walk(schema, value, '', options, report), misfits };
}

/** `resources[0].name must be a string, got 5` */
export function sentence({ path, expected, got }: Misfit): string {
  return `${path === '' ? 'the document' : path} must be ${expected}, got ${got}`;
}

type Report = (path: string, expected: string, got: string) => undefined;

function walk(schema: Schema, given: unknown, path: string, options: FitOptions, report: Report): unknown {
  const value = given === undefined ? structuredClone(schema.default) : given;
  if (schema.type === 'object' && isObject(value)) return walkObject(schema, value, path, options, report);
  if (schema.type === 'array' && Array.isArray(value)) return walkArray(schema, value, path, options, report);
  return fitsScalar(schema, value) ? value : report(path, expectation(schema), shown(value, LONGEST_SHOWN));
}

function walkObject(
  schema: Schema,
  value: Record<string, unknown>,
  path: string,
  options: FitOptions,
  report: Report,
): Record<string, unknown> {
  const properties = schema.properties ?? {};
  const result: [string, unknown][] = [];
  for (const [name, property] of Object.entries(properties)) {
    const needed = schema.required?.includes(name) ?? false;
    if (value[name] === undefined && property.default === undefined && !needed) continue;
    result.push([name, walk(property, value[name], join(path, name), options, report)]);
  }
  const others = Object.keys(value).filter((name) => !Object.hasOwn(properties, name));
  if (schema.maxProperties !== undefined && others.length > schema.maxProperties)
    report(path, `an object of at most ${schema.maxProperties} fields`, `${others.length} fields`);
  for (const name of others) {
    const at = join(path, name);
    if (schema.additionalProperties)
      result.push([name, walk(schema.additionalProperties, value[name], at, options, report)]);
    else if (options.unknownFields === 'refuse')
      report(at, `one of the fields ${Object.keys(properties).join(', ')}`, 'an unknown field');
  }
  return Object.fromEntries(result);
}

function walkArray(schema: Schema, value: unknown[], path: string, options: FitOptions, report: Report): unknown[] {
  const { items, maxItems } = schema;
  if (maxItems !== undefined && value.length > maxItems)
    report(path, `a list of at most ${maxItems}`, `${value.length} items`);
  return items === undefined
    ? value
    : value.map((item, index) => walk(items, item, `${path}[${index}]`, options, report));
}

function fitsScalar(schema: Schema, value: unknown): boolean {
  if (schema.type === 'boolean') return typeof value === 'boolean';
  if (schema.type === 'string') return typeof value === 'string' && fitsString(schema, value);
  return (
    schema.type === 'integer' && Number.isInteger(value) && isWithin(schema.minimum, Number(value), schema.maximum)
  );
}

function fitsString(schema: Schema, value: string): boolean {
  return (
    (schema.enum?.includes(value) ?? true) &&
    (schema.pattern === undefined || new RegExp(schema.pattern).test(value)) &&
    isWithin(schema.minLength, value.length, schema.maxLength)
  );
}

function isWithin(minimum: number | undefined, value: number, maximum: number | undefined): boolean {
  return value >= (minimum ?? -Infinity) && value <= (maximum ?? Infinity);
}

function expectation(schema: Schema): string {
  const { type, minimum, maximum, minLength, maxLength } = schema;
  if (type === 'object') return 'an object';
  if (type === 'array') return 'a list';
  if (type === 'boolean') return 'true or false';
  if (type === 'integer')
    return minimum === undefined ? 'a whole number' : `a whole number from ${minimum} to ${maximum}`;
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  if (schema.pattern !== undefined) return `a string like ${schema.pattern}`;
  if (maxLength !== undefined) return `a string of ${minLength ?? 0} to ${maxLength} characters`;
  return minLength === undefined ? 'a string' : 'a string that is not empty';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
