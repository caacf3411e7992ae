// The few facts of a 64-bit little-endian ELF file that decide whether the image can load it (elf(5)).

import { open } from 'node:fs/promises';
import { BuildError } from './errors.ts';

export interface Elf {
  /** e_machine. */
  readonly machine: number;
  /** PT_INTERP: the dynamic linker, of executables only. */
  readonly interpreter?: string;
  /** DT_NEEDED: the libraries that must be loaded with it. */
  readonly needed: readonly string[];
  /** The smallest p_align of its PT_LOAD segments: it loads where pages are not larger. */
  readonly alignment: number;
}

const identification = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2 /* 64-bit */, 1 /* little-endian */]);
const segmentTypes = { load: 1, dynamic: 2, interpreter: 3 } as const;
const dynamicTags = { end: 0, needed: 1, stringTable: 5, stringTableSize: 10 } as const;

/** One entry of the program header table. */
interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  readonly alignment: number;
}

/** Undefined for a file that is no ELF file of this kind. */
export async function readElf(file: string): Promise<Elf | undefined> {
  const handle = await open(file);
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead < length)
      throw new BuildError('ELF_MALFORMED', { file, problem: `it ends inside ${length} bytes at ${offset}` });
    return buffer;
  };
  try {
    const { size } = await handle.stat();
    if (size < 64) return undefined;
    const header = await read(0, 64);
    if (!header.subarray(0, identification.length).equals(identification)) return undefined;
    return await readSegments(header, read);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BuildError('ELF_MALFORMED', { file, problem: 'a table in it is cut off' }, { cause: error });
  } finally {
    await handle.close();
  }
}

type Read = (offset: number, length: number) => Promise<Buffer>;

async function readSegments(header: Buffer, read: Read): Promise<Elf> {
  const entrySize = header.readUInt16LE(0x36);
  const count = header.readUInt16LE(0x38);
  const table = await read(number(header, 0x20), entrySize * count);
  const segments = Array.from({ length: count }, (_, index) => segment(table.subarray(index * entrySize)));
  const loads = segments.filter(({ type }) => type === segmentTypes.load);
  const interpreter = segments.find(({ type }) => type === segmentTypes.interpreter);
  return {
    machine: header.readUInt16LE(0x12),
    ...(interpreter && { interpreter: text(await read(interpreter.offset, interpreter.size), 0) }),
    needed: await readNeeded(segments, loads, read),
    alignment: Math.min(...loads.map(({ alignment }) => alignment)),
  };
}

async function readNeeded(segments: readonly Segment[], loads: readonly Segment[], read: Read): Promise<string[]> {
  const dynamic = segments.find(({ type }) => type === segmentTypes.dynamic);
  if (dynamic === undefined) return [];
  const table = await read(dynamic.offset, dynamic.size);
  const entries: { tag: number; value: number }[] = [];
  for (let offset = 0; offset < table.length && number(table, offset) !== dynamicTags.end; offset += 16) {
    entries.push({ tag: number(table, offset), value: number(table, offset + 8) });
  }
  const valueOf = (wanted: number): number => entries.find(({ tag }) => tag === wanted)?.value ?? 0;
  const address = valueOf(dynamicTags.stringTable);
  const holder = loads.find((load) => address >= load.address && address < load.address + load.size);
  if (holder === undefined) return [];
  const strings = await read(holder.offset + address - holder.address, valueOf(dynamicTags.stringTableSize));
  return entries.filter(({ tag }) => tag === dynamicTags.needed).map(({ value }) => text(strings, value));
}

function segment(entry: Buffer): Segment {
  return {
    type: entry.readUInt32LE(0),
    offset: number(entry, 0x08),
    address: number(entry, 0x10),
    size: number(entry, 0x20),
    alignment: number(entry, 0x30),
  };
}

function number(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}

function text(buffer: Buffer, start: number): string {
  return buffer.toString('latin1', start, buffer.indexOf(0, start));
}
