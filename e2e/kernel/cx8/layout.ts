// Layouts of big-endian structures as tables: field → byte of the big-endian dword and its bits, as the ConnectX manual counts them.
// Which structures there are stands beside their users; little-endian ones are driver-core's struct.ts.

interface Field<T extends number | bigint | Buffer> {
  /** In bits from the first bit of the structure on, as mlx5_ifc.h counts. */
  readonly offset: number;
  readonly width: number;
  read(bytes: Buffer, at: number): T;
  write(bytes: Buffer, at: number, value: T): void;
}

/** Bits high…low of the dword at `byte`, at most 31 of them; one bit when `low` is left out. */
export function bits(byte: number, high: number, low = high): Field<number> {
  const mask = 2 ** (high - low + 1) - 1;
  return {
    offset: byte * 8 + 31 - high,
    width: high - low + 1,
    read: (bytes, at) => (bytes.readUInt32BE(at + byte) >>> low) & mask,
    write: (bytes, at, value) => {
      const others = bytes.readUInt32BE(at + byte) & ~(mask << low);
      bytes.writeUInt32BE((others | ((value & mask) << low)) >>> 0, at + byte);
    },
  };
}

export function dword(byte: number): Field<number> {
  return {
    offset: byte * 8,
    width: 32,
    read: (bytes, at) => bytes.readUInt32BE(at + byte),
    write: (bytes, at, value) => void bytes.writeUInt32BE(value >>> 0, at + byte),
  };
}

export function qword(byte: number): Field<bigint> {
  return {
    offset: byte * 8,
    width: 64,
    read: (bytes, at) => bytes.readBigUInt64BE(at + byte),
    write: (bytes, at, value) => void bytes.writeBigUInt64BE(value, at + byte),
  };
}

export function octets(byte: number, length: number): Field<Buffer> {
  return {
    offset: byte * 8,
    width: length * 8,
    read: (bytes, at) => bytes.subarray(at + byte, at + byte + length),
    write: (bytes, at, value) => void value.copy(bytes, at + byte, 0, length),
  };
}

type Fields = Readonly<Record<string, Field<number> | Field<bigint> | Field<Buffer>>>;
type Values<F extends Fields> = {
  -readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

export interface Layout<F extends Fields> {
  /** The structure's name in mlx5_ifc.h (without its _bits) or in the file named beside it. */
  readonly name: string;
  readonly size: number;
  readonly fields: F;
  /** The structure at `at`; RangeError when the buffer ends before it. */
  read(bytes: Buffer, at?: number): Values<F>;
  get<K extends keyof F & string>(bytes: Buffer, field: K, at?: number): Values<F>[K];
  /** Overwrites the fields named and no others. */
  write(bytes: Buffer, values: Partial<Values<F>>, at?: number): void;
  encode(values: Partial<Values<F>>): Buffer;
}

export type ValuesOf<L> = L extends Layout<infer F> ? Values<F> : never;

export function layout<const F extends Fields>(name: string, size: number, fields: F): Layout<F> {
  const names = Object.keys(fields) as (keyof F & string)[];
  // A field's type and its value's type agree by Values<F>; TypeScript cannot follow that through the union.
  const field = (key: keyof F): Field<number | bigint | Buffer> => fields[key] as Field<number | bigint | Buffer>;
  const wrong = names.find((key) => field(key).offset + field(key).width > size * 8);
  if (wrong !== undefined) throw new RangeError(`${name}.${wrong} does not fit into ${size} bytes`);

  const get = <K extends keyof F & string>(bytes: Buffer, key: K, at = 0): Values<F>[K] => {
    ensure(bytes, at);
    return field(key).read(bytes, at) as Values<F>[K];
  };
  const read = (bytes: Buffer, at = 0): Values<F> => {
    ensure(bytes, at);
    return Object.fromEntries(names.map((key) => [key, field(key).read(bytes, at)])) as Values<F>;
  };
  const write = (bytes: Buffer, values: Partial<Values<F>>, at = 0): void => {
    ensure(bytes, at);
    for (const key of names) {
      const value = values[key];
      if (value !== undefined) field(key).write(bytes, at, value);
    }
  };
  const ensure = (bytes: Buffer, at: number): void => {
    if (at + size > bytes.length) {
      throw new RangeError(`${name} needs ${size} bytes at ${at}, there are ${bytes.length}`);
    }
  };
  const encode = (values: Partial<Values<F>>): Buffer => {
    const bytes = Buffer.alloc(size);
    write(bytes, values);
    return bytes;
  };
  return { name, size, fields, read, get, write, encode };
}
