import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { bits, mailbox } from './mailbox.ts';

const command = mailbox('command', 8, {
  opcode: bits(0x00, 16),
  flag: bits(0x21, 1),
  low: bits(0x3c, 4),
});
const word = mailbox('word', 4, { all: bits(0, 32) });

it('counts bits from the highest of the first byte on, as mlx5_ifc.h does', () => {
  expect(command.encode({ opcode: 0x0b22, flag: 1, low: 0xa }).toString('hex')).toBe('0b2200004000000a');
  expect(command.read(Buffer.from('0b2200004000000a', 'hex'))).toEqual({ opcode: 0x0b22, flag: 1, low: 0xa });
});

it('leaves what is not named as it was, and keeps to its width', () => {
  const bytes = Buffer.alloc(12, 0xff);
  command.write(bytes, 4, { flag: 0, low: 0x1f0 });
  expect(bytes.toString('hex')).toBe('ffffffffffffffffbffffff0');
});

it('reads back every 32-bit number that it wrote', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (all) => {
      expect(word.read(word.encode({ all }))).toEqual({ all });
    }),
  );
});

it('does not read beyond the end of an answer', () => {
  expect(() => command.read(Buffer.alloc(7))).toThrow(RangeError);
});
