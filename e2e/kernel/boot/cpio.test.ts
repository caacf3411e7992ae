import { describe, expect, it } from 'vitest';
import { cpio } from './cpio.ts';

interface Member {
  readonly mode: number;
  readonly links: number;
  readonly device: readonly [number, number];
  readonly content: string;
}

/** Reads as the kernel's init/initramfs.c does: 13 fields of eight hexadecimal digits, name and content each up to the next multiple of four. */
function membersOf(archive: Buffer): Map<string, Member> {
  const members = new Map<string, Member>();
  for (let at = 0; ;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const fields = Array.from({ length: 13 }, (_, index) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16),
    );
    const [, mode = 0, , , links = 0, , size = 0, , , major = 0, minor = 0, nameSize = 0] = fields;
    const name = archive.toString('utf8', at + 110, at + 110 + nameSize - 1);
    const begin = aligned(at + 110 + nameSize);
    if (name === 'TRAILER!!!') return members;
    members.set(name, { mode, links, device: [major, minor], content: archive.toString('utf8', begin, begin + size) });
    at = aligned(begin + size);
  }
}

function aligned(at: number): number {
  return Math.ceil(at / 4) * 4;
}

describe('an initramfs', () => {
  it('holds directories, files of any length and devices', () => {
    const archive = cpio([
      { kind: 'directory', path: 'dev' },
      { kind: 'character device', path: 'dev/console', major: 5, minor: 1 },
      { kind: 'file', path: 'init', content: Buffer.from('abc'), executable: true },
      { kind: 'file', path: 'ä', content: Buffer.from('') },
      { kind: 'file', path: 'notes', content: Buffer.from('12345') },
    ]);
    expect(archive.length % 4).toBe(0);
    expect(Object.fromEntries(membersOf(archive))).toEqual({
      dev: { mode: 0o040755, links: 2, device: [0, 0], content: '' },
      'dev/console': { mode: 0o020644, links: 1, device: [5, 1], content: '' },
      init: { mode: 0o100755, links: 1, device: [0, 0], content: 'abc' },
      ä: { mode: 0o100644, links: 1, device: [0, 0], content: '' },
      notes: { mode: 0o100644, links: 1, device: [0, 0], content: '12345' },
    });
  });
});
