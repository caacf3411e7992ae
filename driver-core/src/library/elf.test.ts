// Symbol versions out of bytes, good and bad. Against readelf on Debian's own libraries: e2e/oracle.
import { array, assert, integer, nat, property, record, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';

import { definedVersions, ElfError } from './elf.ts';
import { libraryDefining } from './elf.fixture.ts';

const library = libraryDefining(['MLX5_1.0', 'MLX5_1.24', 'MLX5_1.25']);

function outcome(bytes: Buffer): string[] | string {
  try {
    return definedVersions(bytes, '/lib/x.so');
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
        expect(outcome(some)).toSatisfy(isAnswer);
    }),
    { numRuns: 2000 },
  );
});

test('a library with any few bytes changed, and cut off anywhere, is read or refused', () => {
  const change = record({ at: nat(library.length - 1), to: integer({ min: 0, max: 255 }) });
  assert(
    property(array(change, { maxLength: 12 }), nat(library.length), (changes, length) => {
      const bytes = Buffer.from(library);
      for (const { at, to } of changes) bytes[at] = to;
      for (const some of [bytes, bytes.subarray(0, length)]) expect(outcome(some)).toSatisfy(isAnswer);
    }),
    { numRuns: 5000 },
  );
});

function changed(at: number, to: number): Buffer {
  const bytes = Buffer.from(library);
  bytes[at] = to;
  return bytes;
}
