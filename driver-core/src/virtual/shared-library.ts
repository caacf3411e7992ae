// A shared library that defines and needs what is given and has nothing else in it, as bytes.

/** Everything lies in one segment, loaded at this address. */
const ADDRESS = 0x10000;
const DYNAMIC_AT = 64 + 2 * 56;
const X86_64 = 62;

export interface Needs {
  /** e_machine. */
  readonly machine?: number;
  readonly libraries?: readonly string[];
  /** All of the first library. */
  readonly versions?: readonly string[];
}

export function libraryDefining(versions: readonly string[], needs: Needs = {}): Buffer {
  const { machine = X86_64, libraries = [], versions: needed = [] } = needs;
  const names = ['libsample.so.1', ...versions];
  const strings = Buffer.from(`\0${[...names, ...libraries, ...needed].join('\0')}\0`, 'latin1');
  const at = (name: string): number => strings.indexOf(`\0${name}\0`) + 1;
  const dynamic = Buffer.alloc((5 + libraries.length + (needed.length > 0 ? 2 : 0)) * 16);
  const definitions = Buffer.concat(
    names.map((name, index) => definition(index, at(name), index === names.length - 1)),
  );
  const stringsAt = DYNAMIC_AT + dynamic.length;
  const definitionsAt = stringsAt + strings.length;
  const neededAt = definitionsAt + definitions.length;
  const needing = needed.length > 0 ? need(at(libraries[0] ?? ''), needed.map(at)) : Buffer.alloc(0);
  const entries: (readonly [tag: number, value: number])[] = [
    [5, ADDRESS + stringsAt],
    [10, strings.length],
    [0x6ffffffc, ADDRESS + definitionsAt],
    [0x6ffffffd, names.length],
    ...libraries.map((name) => [1, at(name)] as const),
  ];
  if (needed.length > 0) entries.push([0x6ffffffe, ADDRESS + neededAt], [0x6fffffff, 1]);
  for (const [index, [tag, value]] of entries.entries()) {
    dynamic.writeBigUInt64LE(BigInt(tag), index * 16);
    dynamic.writeBigUInt64LE(BigInt(value), index * 16 + 8);
  }
  const size = neededAt + needing.length;
  return Buffer.concat([
    header(machine),
    programHeader(1, 0, size),
    programHeader(2, DYNAMIC_AT, dynamic.length),
    dynamic,
    strings,
    definitions,
    needing,
  ]);
}

function header(machine: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write('\x7fELF\x02\x01\x01', 'latin1');
  bytes.writeUInt16LE(machine, 0x12);
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

/** Verneed with a Vernaux for each version behind it. */
function need(library: number, versions: readonly number[]): Buffer {
  const bytes = Buffer.alloc(16 + versions.length * 16);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt16LE(versions.length, 2);
  bytes.writeUInt32LE(library, 4);
  bytes.writeUInt32LE(16, 8);
  for (const [index, name] of versions.entries()) {
    const entry = bytes.subarray(16 + index * 16);
    entry.writeUInt32LE(name, 8);
    entry.writeUInt32LE(index === versions.length - 1 ? 0 : 16, 12);
  }
  return bytes;
}
