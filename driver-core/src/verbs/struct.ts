// Layouts of C structs as tables: field name → type, offsets by C's rule of natural alignment. Which structs there are stands in abi.ts.
// Little-endian only: every platform with this hardware (aarch64, x86-64) is.

/** A fixed-size scalar at a place in a buffer. */
export interface Field<T extends number | bigint> {
  readonly size: number;
  readonly zero: T;
  read(bytes: Buffer, at: number): T;
  write(bytes: Buffer, at: number, value: T): void;
}

export const u8: Field<number> = {
  size: 1,
  zero: 0,
  read: (bytes, at) => bytes.readUInt8(at),
  write: (bytes, at, value) => void bytes.writeUInt8(value, at),
};
export const u16: Field<number> = {
  size: 2,
  zero: 0,
  read: (bytes, at) => bytes.readUInt16LE(at),
  write: (bytes, at, value) => void bytes.writeUInt16LE(value, at),
};
export const u32: Field<number> = {
  size: 4,
  zero: 0,
  read: (bytes, at) => bytes.readUInt32LE(at),
  write: (bytes, at, value) => void bytes.writeUInt32LE(value, at),
};
export const u64: Field<bigint> = {
  size: 8,
  zero: 0n,
  read: (bytes, at) => bytes.readBigUInt64LE(at),
  write: (bytes, at, value) => void bytes.writeBigUInt64LE(value, at),
};

type Fields = Readonly<Record<string, Field<number> | Field<bigint>>>;
type Values<F extends Fields> = { -readonly [K in keyof F]: F[K]['zero'] };

export interface Struct<F extends Fields> {
  /** The struct's name in C. */
  readonly name: string;
  readonly size: number;
  readonly offsets: Readonly<Record<keyof F & string, number>>;
  /** The struct at `at`; RangeError when the buffer ends before it. */
  read(bytes: Buffer, at?: number): Values<F>;
  /** Overwrites the fields named and no others. */
  write(bytes: Buffer, at: number, values: Partial<Values<F>>): void;
  /** A new buffer of the struct's size; fields not named are zero. */
  encode(values: Partial<Values<F>>): Buffer;
}

export function struct<const F extends Fields>(name: string, fields: F): Struct<F> {
  const names = Object.keys(fields) as (keyof F & string)[];
  const { offsets, size } = layOut(names, fields);

  const read = (bytes: Buffer, at = 0): Values<F> =>
    Object.fromEntries(names.map((field) => [field, fields[field]?.read(bytes, at + offsets[field])])) as Values<F>;

  const write = (bytes: Buffer, at: number, values: Partial<Values<F>>): void => {
    for (const field of names) {
      const value = values[field];
      // A field's type and its value's type agree by Values<F>; TypeScript cannot follow that through the union.
      if (value !== undefined) (fields[field] as Field<number | bigint>).write(bytes, at + offsets[field], value);
    }
  };

  const encode = (values: Partial<Values<F>>): Buffer => {
    const bytes = Buffer.alloc(size);
    write(bytes, 0, values);
    return bytes;
  };

  return { name, size, offsets, read, write, encode };
}

function layOut<F extends Fields>(names: readonly (keyof F & string)[], fields: F) {
  const offsets = {} as Record<keyof F & string, number>;
  let end = 0;
  let alignment = 1;
  for (const name of names) {
    const bytes = fields[name]?.size ?? 1;
    end = roundUp(end, bytes);
    offsets[name] = end;
    end += bytes;
    alignment = Math.max(alignment, bytes);
  }
  return { offsets, size: roundUp(end, alignment) };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
