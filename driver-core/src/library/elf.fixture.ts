// A shared library that defines the given symbol versions and nothing else, as bytes.

/** Everything lies in one segment, loaded at this address. */
const ADDRESS = 0x10000;
const DYNAMIC_AT = 64 + 2 * 56;

export function libraryDefining(versions: readonly string[]): Buffer {
  const names = ['libsample.so.1', ...versions];
  const strings = Buffer.from(`\0${names.join('\0')}\0`, 'latin1');
  const dynamic = Buffer.alloc(5 * 16);
  const definitions = Buffer.concat(
    names.map((name, index) => definition(index, strings.indexOf(`\0${name}\0`) + 1, index === names.length - 1)),
  );
  const stringsAt = DYNAMIC_AT + dynamic.length;
  const definitionsAt = stringsAt + strings.length;
  const entries = [
    [5, ADDRESS + stringsAt],
    [10, strings.length],
    [0x6ffffffc, ADDRESS + definitionsAt],
    [0x6ffffffd, names.length],
  ] as const;
  for (const [index, [tag, value]] of entries.entries()) {
    dynamic.writeBigUInt64LE(BigInt(tag), index * 16);
    dynamic.writeBigUInt64LE(BigInt(value), index * 16 + 8);
  }
  const size = definitionsAt + definitions.length;
  return Buffer.concat([
    header(),
    programHeader(1, 0, size),
    programHeader(2, DYNAMIC_AT, dynamic.length),
    dynamic,
    strings,
    definitions,
  ]);
}

function header(): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write('\x7fELF\x02\x01\x01', 'latin1');
  bytes.writeBigUInt64LE(64n, 0x20);
  bytes.writeUInt16LE(56, 0x36);
  bytes.writeUInt16LE(2, 0x38);
  return bytes;
}

function programHeader(type: number, offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(56);
  bytes.writeUInt32LE(type, 0);
  bytes.writeBigUInt64LE(BigInt(offset), 8);
  bytes.writeBigUInt64LE(BigInt(ADDRESS + offset), 16);
  bytes.writeBigUInt64LE(BigInt(size), 32);
  return bytes;
}

/** Verdef with its one Verdaux behind it. */
function definition(index: number, name: number, isLast: boolean): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt16LE(index === 0 ? 1 : 0, 2);
  bytes.writeUInt16LE(index + 1, 4);
  bytes.writeUInt16LE(1, 6);
  bytes.writeUInt32LE(20, 12);
  bytes.writeUInt32LE(isLast ? 0 : 28, 16);
  bytes.writeUInt32LE(name, 20);
  return bytes;
}
