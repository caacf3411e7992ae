import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bits, dword, layout, octets, qword } from './layout.ts';

const shape = layout('shape', 32, {
  top: bits(0, 31),
  middle: bits(0, 30, 8),
  low: bits(0, 7, 0),
  word: dword(4),
  long: qword(8),
  tail: octets(16, 16),
});

describe('a layout', () => {
  it('reads big-endian fields where the manual has them', () => {
    const bytes = Buffer.from('80000102ffffffff0123456789abcdef', 'hex');
    expect(shape.read(Buffer.concat([bytes, Buffer.alloc(16, 7)]))).toEqual({
      top: 1,
      middle: 1,
      low: 2,
      word: 0xffff_ffff,
      long: 0x0123_4567_89ab_cdefn,
      tail: Buffer.alloc(16, 7),
    });
  });

  it('counts offsets and widths in bits, as mlx5_ifc.h does', () => {
    const { top, middle, low, word, long, tail } = shape.fields;
    const places = [top, middle, low, word, long, tail].map(({ offset, width }) => [offset, width]);
    expect(places).toEqual([
      [0, 1],
      [1, 23],
      [24, 8],
      [32, 32],
      [64, 64],
      [128, 128],
    ]);
  });

  it('reads back what it wrote, and leaves the other fields alone', () => {
    const values = fc.record({
      top: fc.nat(1),
      middle: fc.nat(0x7f_ffff),
      low: fc.nat(0xff),
      word: fc.nat(0xffff_ffff),
      long: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      tail: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(
        values,
        values,
        fc.constantFrom('top', 'middle', 'low', 'word', 'long', 'tail'),
        (all, other, one) => {
          const bytes = shape.encode(all);
          shape.write(bytes, { [one]: other[one] });
          expect(shape.read(bytes)).toEqual({ ...all, [one]: other[one] });
        },
      ),
      { seed: 8 },
    );
  });

  it('of which the buffer has only a part is a RangeError that names it', () => {
    expect(() => shape.get(Buffer.alloc(40), 'low', 9)).toThrow(
      new RangeError('shape needs 32 bytes at 9, there are 40'),
    );
  });

  it('whose field does not fit into its size is refused when it is made', () => {
    expect(() => layout('short', 6, { word: dword(4) })).toThrow('short.word does not fit into 6 bytes');
  });
});
