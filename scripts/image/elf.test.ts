import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { architectures, hostArchitecture } from './architectures.ts';
import { readElf } from './elf.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'elf-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function file(name: string, bytes: Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

interface Entry {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  readonly alignment: number;
}

/** A file with this program header table behind the 64-byte header, and `body` behind that. */
function elf(machine: number, segments: readonly Entry[], body: Buffer): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(machine, 0x12);
  header.writeBigUInt64LE(64n, 0x20);
  header.writeUInt16LE(56, 0x36);
  header.writeUInt16LE(segments.length, 0x38);
  const table = segments.map(({ type, offset, address, size, alignment }) => {
    const entry = Buffer.alloc(56);
    entry.writeUInt32LE(type, 0);
    entry.writeBigUInt64LE(BigInt(offset), 0x08);
    entry.writeBigUInt64LE(BigInt(address), 0x10);
    entry.writeBigUInt64LE(BigInt(size), 0x20);
    entry.writeBigUInt64LE(BigInt(alignment), 0x30);
    return entry;
  });
  return Buffer.concat([header, ...table, body]);
}

function dynamic(...entries: readonly (readonly [tag: number, value: number])[]): Buffer {
  const table = Buffer.alloc(entries.length * 16);
  for (const [index, [tag, value]] of entries.entries()) {
    table.writeBigUInt64LE(BigInt(tag), index * 16);
    table.writeBigUInt64LE(BigInt(value), index * 16 + 8);
  }
  return table;
}

/** PT_LOAD of everything at 0x10000, PT_DYNAMIC, PT_INTERP; the strings begin the body. */
function sharedObject(): Buffer {
  const strings = Buffer.from('\0libc.so.6\0libm.so.6\0/lib/ld.so\0');
  const start = 64 + 3 * 56;
  const table = dynamic([1, 1], [1, 11], [5, 0x10000 + start], [10, strings.length], [0, 0], [1, 1]);
  const body = Buffer.concat([strings, table]);
  return elf(
    183,
    [
      { type: 1, offset: 0, address: 0x10000, size: start + body.length, alignment: 0x10000 },
      { type: 2, offset: start + strings.length, address: 0, size: table.length, alignment: 8 },
      { type: 3, offset: start + 21, address: 0, size: 11, alignment: 1 },
    ],
    body,
  );
}

describe('an ELF file', () => {
  test('tells its machine, its libraries, its dynamic linker and for which pages it is aligned', async () => {
    expect(await readElf(file('object', sharedObject()))).toEqual({
      machine: 183,
      interpreter: '/lib/ld.so',
      needed: ['libc.so.6', 'libm.so.6'],
      alignment: 0x10000,
    });
  });

  test('is aligned as its least aligned loaded segment is', async () => {
    const load = { type: 1, offset: 0, address: 0, size: 0 };
    const bytes = elf(
      62,
      [
        { ...load, alignment: 0x10000 },
        { ...load, alignment: 0x1000 },
      ],
      Buffer.alloc(0),
    );
    expect(await readElf(file('aligned', bytes))).toEqual({ machine: 62, needed: [], alignment: 0x1000 });
  });

  test('that this very Node was started from is read as the dynamic linker reads it', async () => {
    const found = await readElf(process.execPath);
    expect(found?.machine).toBe(architectures[hostArchitecture()].elfMachine);
    const traced = execFileSync(found?.interpreter ?? '', ['--list', process.execPath], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    for (const soname of found?.needed ?? []) expect(traced).toContain(soname);
    expect(found?.needed).toContain('libc.so.6');
  });

  test('that ends too early is an error that names it', async () => {
    const cut = file('cut', sharedObject().subarray(0, 100));
    await expect(readElf(cut)).rejects.toThrow(/cut is not an ELF file we can read: it ends inside/);
  });

  test('whose program header table is shorter than it should be is an error that names it', async () => {
    const bytes = sharedObject();
    bytes.writeUInt16LE(8, 0x36); // size of an entry
    await expect(readElf(file('odd', bytes))).rejects.toThrow(/odd is not an ELF file we can read: a table/);
  });

  test.each([
    ['a script', Buffer.from(`#!/bin/sh\n${' '.repeat(80)}`)],
    ['an empty file', Buffer.alloc(0)],
    ['a 32-bit ELF file', Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]), Buffer.alloc(80)])],
  ])('is not what %s is', async (name, bytes) => {
    expect(await readElf(file(name, bytes))).toBeUndefined();
  });
});
