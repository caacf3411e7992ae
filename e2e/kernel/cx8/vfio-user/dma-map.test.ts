import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DmaFault, DmaMap } from './dma-map.ts';

describe('a DMA map', () => {
  it('reads and writes across the border of two ranges', () => {
    const map = new DmaMap('nic0');
    const [first, second] = [Buffer.alloc(16), Buffer.alloc(16)];
    map.map(0x1000n, first);
    map.map(0x1010n, second);
    map.write(0x100cn, Buffer.from('12345678'));
    expect([first.toString('latin1', 12), second.toString('latin1', 0, 4)]).toEqual(['1234', '5678']);
    expect(map.read(0x100cn, 8).toString()).toBe('12345678');
  });

  it('says whose domain lacks which address, and writes nothing of what does not fit whole', () => {
    const map = new DmaMap('nic0');
    const bytes = Buffer.alloc(16);
    map.map(0x1000n, bytes);
    expect(() => map.write(0x1008n, Buffer.alloc(9, 1))).toThrow('0x1010 is not mapped in the DMA domain of nic0');
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(() => map.read(0xfffn, 2)).toThrow(DmaFault);
  });

  it('is, whatever is mapped and unmapped, what the last map of each address says', () => {
    const place = { start: fc.integer({ min: 0, max: 60 }), length: fc.integer({ min: 1, max: 20 }) };
    const step = fc.record({ ...place, unmap: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const map = new DmaMap('nic0');
        const expected = Array<number | undefined>(100).fill(undefined);
        for (const [index, { start, length, unmap }] of steps.entries()) {
          if (unmap) map.unmap(BigInt(start), BigInt(length));
          else map.map(BigInt(start), Buffer.alloc(length, index + 1));
          expected.fill(unmap ? undefined : index + 1, start, start + length);
        }
        const found = expected.map((_, address) => {
          try {
            return map.read(BigInt(address), 1)[0];
          } catch {
            return undefined;
          }
        });
        expect(found).toEqual(expected);
      }),
    );
  });
});
