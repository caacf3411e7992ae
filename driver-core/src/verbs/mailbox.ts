// Layouts of firmware commands as tables: field → offset and width in bits, counted from the first bit on as include/linux/mlx5/mlx5_ifc.h does.
// Everything is big-endian, unlike struct.ts. Which commands there are stands in firmware-abi.ts.

export interface Bits {
  readonly offset: number;
  readonly width: number;
}

/** As in mlx5_ifc.h no field crosses a 32-bit boundary. */
export function bits(offset: number, width: number): Bits {
  return { offset, width };
}

type Fields = Readonly<Record<string, Bits>>;

export interface Mailbox<F extends Fields> {
  /** The struct's name in mlx5_ifc.h, without mlx5_ifc_ and _bits. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly fields: F;
  /** The command at `at`; RangeError when the buffer ends before it. */
  read(bytes: Buffer, at?: number): { -readonly [K in keyof F]: number };
  /** Overwrites the fields named and no others. */
  write(bytes: Buffer, at: number, values: { readonly [K in keyof F]?: number }): void;
  /** A new buffer of the command's size; fields not named are zero. */
  encode(values: { readonly [K in keyof F]?: number }): Buffer;
}

export function mailbox<const F extends Fields>(name: string, size: number, fields: F): Mailbox<F> {
  type Values = { -readonly [K in keyof F]: number };
  const all = Object.entries<Bits>(fields);
  const read = (bytes: Buffer, at = 0): Values =>
    Object.fromEntries(all.map(([field, place]) => [field, get(bytes, at, place)])) as Values;
  const write = (bytes: Buffer, at: number, values: { readonly [K in keyof F]?: number }): void => {
    for (const [field, place] of all) {
      const value = values[field];
      if (value !== undefined) set(bytes, at, place, value);
    }
  };
  const encode = (values: { readonly [K in keyof F]?: number }): Buffer => {
    const bytes = Buffer.alloc(size);
    write(bytes, 0, values);
    return bytes;
  };
  return { name, size, fields, read, write, encode };
}

function get(bytes: Buffer, at: number, place: Bits): number {
  const { word, shift, mask } = placed(place);
  return Math.floor(bytes.readUInt32BE(at + word) / 2 ** shift) % (mask + 1);
}

function set(bytes: Buffer, at: number, place: Bits, value: number): void {
  const { word, shift, mask } = placed(place);
  const others = bytes.readUInt32BE(at + word) - get(bytes, at, place) * 2 ** shift;
  bytes.writeUInt32BE(others + (value % (mask + 1)) * 2 ** shift, at + word);
}

/** In arithmetic, because JavaScript's shifts are signed. */
function placed({ offset, width }: Bits) {
  return { word: Math.floor(offset / 32) * 4, shift: 32 - (offset % 32) - width, mask: 2 ** width - 1 };
}
