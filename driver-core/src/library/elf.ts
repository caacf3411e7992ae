// What a shared library defines and what it needs, from its bytes: what `readelf -d -V` calls NEEDED, .gnu.version_d and .gnu.version_r.
// Pure. Read as the dynamic loader reads them, through the program headers, so that a library without section headers is told too.

export type ElfErrorCode = 'ELF_UNKNOWN' | 'ELF_TRUNCATED' | 'ELF_MALFORMED';

/** The file is not what a dynamic loader would take. */
export class ElfError extends Error {
  readonly code: ElfErrorCode;
  readonly file: string;
  readonly offset: number;

  constructor(code: ElfErrorCode, file: string, offset: number, problem: string) {
    super(`${file}: at offset 0x${offset.toString(16)}: ${problem}`);
    this.name = 'ElfError';
    this.code = code;
    this.file = file;
    this.offset = offset;
  }
}

/** System V ABI, "ELF header", "program header", "dynamic section"; LSB core, "symbol versioning". All as a 64-bit file has them. */
const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DYNAMIC_ENTRY_SIZE = 16;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_STRSZ = 10;
const DT_VERDEF = 0x6ffffffc;
const DT_VERDEFNUM = 0x6ffffffd;
const DT_VERNEED = 0x6ffffffe;
const DT_VERNEEDNUM = 0x6fffffff;
const VERDEF_SIZE = 20;
const VERDAUX_SIZE = 8;
const VERNEED_SIZE = 16;
const VERNAUX_SIZE = 16;
/** glibc's own libraries need some dozens. */
const MOST_VERSIONS = 4096;
/** The definition of the file's own name. */
const VER_FLG_BASE = 1;

/** In the file's order, without the base definition. `file` is for errors. Throws ElfError. */
export function definedVersions(bytes: Buffer, file: string): string[] {
  const elf = new Reading(bytes, file);
  const segments = elf.segments();
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!dynamic) return [];
  const tags = elf.dynamicTags(dynamic);
  const definitions = tags.get(DT_VERDEF);
  if (definitions === undefined) return [];
  const offsetOf = (address: number, what: string): number => elf.offsetOf(segments, address, what);
  const names = {
    start: offsetOf(tags.get(DT_STRTAB) ?? 0, 'the string table'),
    length: tags.get(DT_STRSZ) ?? 0,
  };
  return elf.definitions(offsetOf(definitions, 'the version definitions'), tags.get(DT_VERDEFNUM) ?? 0, names);
}

/** What has to be there for a library to be loaded. */
export interface Dependencies {
  /** e_machine: 62 is x86-64, 183 is AArch64. */
  readonly machine: number;
  /** Such as libc.so.6. */
  readonly libraries: readonly string[];
  /** Such as GLIBC_2.38, of whichever library. */
  readonly versions: readonly string[];
}

/** `file` is for errors. Throws ElfError. */
export function dependencies(bytes: Buffer, file: string): Dependencies {
  const elf = new Reading(bytes, file);
  const segments = elf.segments();
  const machine = elf.machine();
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!dynamic) return { machine, libraries: [], versions: [] };
  const tags = elf.dynamicTags(dynamic);
  const names = {
    start: elf.offsetOf(segments, tags.get(DT_STRTAB) ?? 0, 'the string table'),
    length: tags.get(DT_STRSZ) ?? 0,
  };
  const needs = tags.get(DT_VERNEED);
  const at = needs === undefined ? 0 : elf.offsetOf(segments, needs, 'the needed versions');
  return {
    machine,
    libraries: elf.neededLibraries(dynamic, names),
    versions: needs === undefined ? [] : elf.neededVersions(at, tags.get(DT_VERNEEDNUM) ?? 0, names),
  };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  /** In the file. */
  readonly size: number;
}

interface Strings {
  readonly start: number;
  readonly length: number;
}

class Reading {
  readonly #bytes: Buffer;
  readonly #file: string;

  constructor(bytes: Buffer, file: string) {
    this.#bytes = bytes;
    this.#file = file;
  }

  segments(): Segment[] {
    const header = this.#part(0, Math.min(HEADER_SIZE, this.#bytes.length), 'the header');
    if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw this.#error('ELF_UNKNOWN', 0, 'no ELF file');
    if (header[4] !== CLASS_64 || header[5] !== LITTLE_ENDIAN)
      throw this.#error('ELF_UNKNOWN', 4, 'not for a 64-bit little-endian machine');
    this.#part(0, HEADER_SIZE, 'the header');
    const size = header.readUInt16LE(0x36);
    const count = header.readUInt16LE(0x38);
    if (count > 0 && size !== PROGRAM_HEADER_SIZE)
      throw this.#error('ELF_MALFORMED', 0x36, `program headers of ${size} bytes, expected ${PROGRAM_HEADER_SIZE}`);
    const table = this.#part(number(header, 0x20), count * size, 'the program headers');
    return Array.from({ length: count }, (_, index) => segment(table.subarray(index * size)));
  }

  machine(): number {
    return this.#bytes.readUInt16LE(0x12);
  }

  dynamicTags({ offset, size }: Segment): Map<number, number> {
    const table = this.#part(offset, size - (size % DYNAMIC_ENTRY_SIZE), 'the dynamic section');
    const tags = new Map<number, number>();
    for (let at = 0; at < table.length && number(table, at) !== DT_NULL; at += DYNAMIC_ENTRY_SIZE)
      tags.set(number(table, at), number(table, at + 8));
    return tags;
  }

  /** The one tag that comes several times. */
  neededLibraries({ offset, size }: Segment, names: Strings): string[] {
    const table = this.#part(offset, size - (size % DYNAMIC_ENTRY_SIZE), 'the dynamic section');
    const libraries: string[] = [];
    for (let at = 0; at < table.length && number(table, at) !== DT_NULL; at += DYNAMIC_ENTRY_SIZE)
      if (number(table, at) === DT_NEEDED) libraries.push(this.#name(names, number(table, at + 8)));
    return libraries;
  }

  /** Where in the file lies what is loaded to this address. */
  offsetOf(segments: readonly Segment[], address: number, what: string): number {
    const holder = segments.find(
      (each) => each.type === PT_LOAD && address >= each.address && address < each.address + each.size,
    );
    if (!holder) throw this.#error('ELF_MALFORMED', 0, `${what} at address 0x${address.toString(16)} is in no segment`);
    return holder.offset + address - holder.address;
  }

  /** A chain whose links only lead onwards: it ends, whatever stands in it. */
  definitions(first: number, count: number, names: Strings): string[] {
    const versions: string[] = [];
    let at = first;
    for (let index = 0; index < count; index += 1) {
      const entry = this.#part(at, VERDEF_SIZE, 'a version definition');
      const auxiliary = this.#part(at + entry.readUInt32LE(12), VERDAUX_SIZE, 'the name of a version definition');
      if ((entry.readUInt16LE(2) & VER_FLG_BASE) === 0) versions.push(this.#name(names, auxiliary.readUInt32LE(0)));
      const next = entry.readUInt32LE(16);
      if (next === 0) break;
      at += next;
    }
    return versions;
  }

  /** A chain of libraries, each with a chain of versions. Both lead onwards only, but into each other they could lead for very long. */
  neededVersions(first: number, count: number, names: Strings): string[] {
    const versions: string[] = [];
    let at = first;
    for (let library = 0; library < count; library += 1) {
      const entry = this.#part(at, VERNEED_SIZE, 'a needed library');
      let version = at + entry.readUInt32LE(8);
      for (let index = 0; index < entry.readUInt16LE(2); index += 1) {
        const auxiliary = this.#part(version, VERNAUX_SIZE, 'a needed version');
        versions.push(this.#name(names, auxiliary.readUInt32LE(8)));
        if (versions.length > MOST_VERSIONS)
          throw this.#error('ELF_MALFORMED', version, 'more needed versions than any library has');
        const next = auxiliary.readUInt32LE(12);
        if (next === 0) break;
        version += next;
      }
      const next = entry.readUInt32LE(12);
      if (next === 0) break;
      at += next;
    }
    return versions;
  }

  #name({ start, length }: Strings, at: number): string {
    const rest = this.#part(start + at, length - at, 'the name of a version');
    const end = rest.indexOf(0);
    if (end < 0) throw this.#error('ELF_MALFORMED', start + at, 'the name of a version has no end');
    return rest.toString('latin1', 0, end);
  }

  #part(offset: number, length: number, what: string): Buffer {
    if (length < 0 || offset + length > this.#bytes.length)
      throw this.#error(
        'ELF_TRUNCATED',
        offset,
        `${what} should be there with ${Math.max(length, 1)} bytes, the file has ${this.#bytes.length}`,
      );
    return this.#bytes.subarray(offset, offset + length);
  }

  #error(code: ElfErrorCode, offset: number, problem: string): ElfError {
    return new ElfError(code, this.#file, offset, problem);
  }
}

function segment(entry: Buffer): Segment {
  return {
    type: entry.readUInt32LE(0),
    offset: number(entry, 0x08),
    address: number(entry, 0x10),
    size: number(entry, 0x20),
  };
}

/** Beyond 2^53 it is inexact, and far outside of any file all the same. */
function number(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}
