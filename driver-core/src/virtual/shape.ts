// Reading JSON of unknown origin strictly: a value has the expected shape, or the refusal names its path and what was expected.
// What the shapes mean is not known here. Shapes decode what they read and give it a type; that of crds holds JSON against a schema that is data itself.

import { shown } from '@data-direct/crds';

const LONGEST_SHOWN = 60;

/** Where a value stands; `refuse` throws the error of whoever reads. */
export interface Place {
  readonly path: string;
  readonly refuse: (path: string, expected: string, got: string) => never;
}

export type Shape<T> = (value: unknown, at: Place) => T;

interface Optional<T> {
  readonly optional: Shape<T>;
  readonly nullToo: boolean;
}
type Fields = Readonly<Record<string, Shape<unknown> | Optional<unknown>>>;
type Read<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Optional<infer T> ? T | undefined : F[K] extends Shape<infer T> ? T : never;
};

/** A field that may be missing. */
export function optional<T>(shape: Shape<T>): Optional<T> {
  return { optional: shape, nullToo: false };
}

/** A field that may be missing, or null with the same meaning. */
export function optionalOrNull<T>(shape: Shape<T>): Optional<T> {
  return { optional: shape, nullToo: true };
}

/** An object with these fields and no others. */
export function object<F extends Fields>(fields: F): Shape<Read<F>> {
  return (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(at, 'an object', value);
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name))
        refuse(below(at, name), `no such field (known: ${Object.keys(fields).join(', ')})`, undefined);
    }
    const given = value as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(fields).map(([name, shape]) => [name, field(shape, given[name], below(at, name))]),
    ) as Read<F>;
  };
}

function field(shape: Shape<unknown> | Optional<unknown>, value: unknown, at: Place): unknown {
  if (typeof shape === 'function') return shape(value, at);
  return value === undefined || (value === null && shape.nullToo) ? undefined : shape.optional(value, at);
}

export function array<T>(item: Shape<T>): Shape<T[]> {
  return (value, at) =>
    Array.isArray(value)
      ? value.map((element: unknown, index) => item(element, { ...at, path: `${at.path}[${index}]` }))
      : refuse(at, 'an array', value);
}

export function text(pattern: RegExp, expected: string): Shape<string> {
  return (value, at) => (typeof value === 'string' && pattern.test(value) ? value : refuse(at, expected, value));
}

export function integer(least: number, most = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value, at) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? (value as number)
      : refuse(at, `an integer from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`, value);
}

export function oneOf<const T extends string | number | boolean | null>(...allowed: readonly T[]): Shape<T> {
  return (value, at) =>
    (allowed as readonly unknown[]).includes(value)
      ? (value as T)
      : refuse(at, allowed.map((word) => JSON.stringify(word)).join(' or '), value);
}

export const boolean = oneOf(true, false);

/** The shape, or null with a meaning of its own. */
export function orNull<T>(shape: Shape<T>): Shape<T | null> {
  return (value, at) => (value === null ? null : shape(value, at));
}

export function refuse(at: Place, expected: string, got: unknown): never {
  return at.refuse(at.path, expected, shown(got, LONGEST_SHOWN));
}

function below(at: Place, name: string): Place {
  const step = /^[A-Za-z_]\w*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
  return { ...at, path: `${at.path}${step}` };
}
