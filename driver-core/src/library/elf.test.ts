// Symbol versions out of bytes, good and bad. Against readelf on Debian's own libraries: e2e/oracle.
import { array, assert, integer, nat, property, record, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';

import { definedVersions, dependencies, ElfError } from './elf.ts';
import { libraryDefining } from '../virtual/shared-library.ts';

const library = libraryDefining(['MLX5_1.0', 'MLX5_1.24', 'MLX5_1.25']);
const needing = libraryDefining(['MLX5_1.0'], {
  libraries: ['libc.so.6', 'libibverbs.so.1'],
  versions: ['GLIBC_2.38', 'GLIBC_2.2.5'],
});

function outcome(bytes: Buffer): string[] | string {
  return attempt(() => definedVersions(bytes, '/lib/x.so'));
}

function needs(bytes: Buffer): string[] | string {
  return attempt(() => dependencies(bytes, '/lib/x.so').versions);
}

function attempt(read: () => readonly string[]): string[] | string {
  try {
    return [...read()];
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

function isAnswer(seen: unknown): boolean {
  return Array.isArray(seen) || /^ELF_[A-Z]+ \/lib\/x\.so: at offset 0x[0-9a-f]+: /.test(String(seen));
}

test('versions come in the file’s order, without the library’s own name', () => {
  expect(definedVersions(library, 'x')).toEqual(['MLX5_1.0', 'MLX5_1.24', 'MLX5_1.25']);
});

test('what a library needs: machine, libraries and versions', () => {
  expect(dependencies(needing, 'x')).toEqual({
    machine: 62,
    libraries: ['libc.so.6', 'libibverbs.so.1'],
    versions: ['GLIBC_2.38', 'GLIBC_2.2.5'],
  });
  expect(dependencies(libraryDefining([], { machine: 183 }), 'x')).toEqual({
    machine: 183,
    libraries: [],
    versions: [],
  });
});

test('a library without a dynamic section defines none', () => {
  const bare = Buffer.from(library);
  bare.writeUInt32LE(0, 64 + 56);
  expect(definedVersions(bare, 'x')).toEqual([]);
});

test.each([
  ['a script', Buffer.from('#!/bin/sh'), 'ELF_UNKNOWN /lib/x.so: at offset 0x0: no ELF file'],
  ['an empty file', Buffer.alloc(0), 'ELF_UNKNOWN /lib/x.so: at offset 0x0: no ELF file'],
  ['a 32-bit library', changed(4, 1), 'ELF_UNKNOWN /lib/x.so: at offset 0x4: not for a 64-bit little-endian machine'],
  [
    'a library cut off in its header',
    library.subarray(0, 20),
    'ELF_TRUNCATED /lib/x.so: at offset 0x0: the header should be there with 64 bytes, the file has 20',
  ],
  [
    'a library cut off in its names',
    library.subarray(0, 64 + 112 + 80 + 4),
    'ELF_TRUNCATED /lib/x.so: at offset 0x12d: a version definition should be there with 20 bytes, the file has 260',
  ],
  [
    'program headers of another size',
    changed(0x36, 32),
    'ELF_MALFORMED /lib/x.so: at offset 0x36: program headers of 32 bytes, expected 56',
  ],
])('%s is refused with file and offset', (_what, bytes, message) => {
  expect(outcome(bytes)).toBe(message);
});

test('whatever the bytes are, the answer is versions or an ElfError', () => {
  assert(
    property(uint8Array({ maxLength: 400 }), (bytes) => {
      for (const some of [Buffer.from(bytes), Buffer.concat([library.subarray(0, 64), bytes])])
        for (const read of [outcome, needs]) expect(read(some)).toSatisfy(isAnswer);
    }),
    { numRuns: 2000 },
  );
});

test.each([library, needing])(
  'library %# with any few bytes changed, and cut off anywhere, is read or refused',
  (whole) => {
    const change = record({ at: nat(whole.length - 1), to: integer({ min: 0, max: 255 }) });
    assert(
      property(array(change, { maxLength: 12 }), nat(whole.length), (changes, length) => {
        const bytes = Buffer.from(whole);
        for (const { at, to } of changes) bytes[at] = to;
        for (const some of [bytes, bytes.subarray(0, length)])
          for (const read of [outcome, needs]) expect(read(some)).toSatisfy(isAnswer);
      }),
      { numRuns: 2500 },
    );
  },
);

function changed(at: number, to: number): Buffer {
  const bytes = Buffer.from(library);
  bytes[at] = to;
  return bytes;
}
