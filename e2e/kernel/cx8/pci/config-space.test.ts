import { describe, expect, it } from 'vitest';
import { accessControl, msix, pciExpress, vitalProductData } from './capabilities.ts';
import { ConfigSpace } from './config-space.ts';

const identity = { vendor: 0x15b3, device: 0x1023, subsystemVendor: 0x15b3, subsystemDevice: 0x40, class: 0x020700 };
const image = Buffer.from('a VPD image that is read by fours');
const make = (): ConfigSpace =>
  new ConfigSpace(
    identity,
    [{ index: 0, size: 0x200_0000 }],
    [
      pciExpress(),
      vitalProductData(() => image),
      msix({ vectors: 16, bar: 0, table: 0x100_0000, pending: 0x100_1000 }),
    ],
    [accessControl()],
  );
const u16 = (value: number): Buffer => Buffer.of(value & 0xff, value >> 8);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};

/** Offsets by capability id, found as the kernel finds them. */
function capabilities(config: ConfigSpace): Record<number, number> {
  const found: Record<number, number> = {};
  for (let at = config.read(0x34, 1)[0] ?? 0; at !== 0; at = config.read(at + 1, 1)[0] ?? 0) {
    found[config.read(at, 1)[0] ?? 0] = at;
  }
  return found;
}

describe('configuration space', () => {
  it('shows who the function is and cannot be talked out of it', () => {
    const config = make();
    config.write(0, Buffer.alloc(16, 0xff));
    expect(config.read(0, 4).readUInt32LE()).toBe(0x1023_15b3);
    expect(config.read(8, 4).readUInt32LE() >>> 8).toBe(0x020700);
    expect(config.read(0x2c, 4).readUInt32LE()).toBe(0x0040_15b3);
  });

  it('gives the size of its BAR to whoever writes ones: 64-bit, prefetchable', () => {
    const config = make();
    config.write(0x10, Buffer.alloc(8, 0xff));
    expect(config.read(0x10, 8).readBigUInt64LE()).toBe(0xffff_ffff_fe00_000cn);
    config.write(0x10, u32(0xfa00_0000));
    expect(config.read(0x10, 4).readUInt32LE()).toBe(0xfa00_000c);
    expect(config.read(0x18, 4).readUInt32LE()).toBe(0);
  });

  it('lists PCI Express, VPD and MSI-X, and ACS among the extended capabilities', () => {
    const config = make();
    expect(Object.keys(capabilities(config)).map(Number).toSorted()).toEqual([0x03, 0x10, 0x11].toSorted());
    expect(config.read(0x100, 4).readUInt32LE()).toBe(0x0001_000d);
  });

  it('lets VPD be read four bytes at a time, to the end of the image and zeros behind it', () => {
    const config = make();
    const at = capabilities(config)[0x03] ?? 0;
    const read: Buffer[] = [];
    for (let address = 0; address < image.length + 4; address += 4) {
      config.write(at + 2, u16(address));
      expect(config.read(at + 2, 2).readUInt16LE()).toBe(address | 0x8000);
      read.push(config.read(at + 4, 4));
    }
    expect(Buffer.concat(read).subarray(0, image.length).equals(image)).toBe(true);
    expect(
      Buffer.concat(read)
        .subarray(image.length)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it('takes a write to VPD, says that it is done and keeps the image', () => {
    const config = make();
    const at = capabilities(config)[0x03] ?? 0;
    config.write(at + 4, u32(0x1234_5678));
    config.write(at + 2, u16(0x8000));
    expect(config.read(at + 2, 2).readUInt16LE()).toBe(0);
    config.write(at + 2, u16(0));
    expect(config.read(at + 4, 4)).toEqual(image.subarray(0, 4));
  });

  it('is after a reset as it was at first', () => {
    const config = make();
    const before = config.read(0, config.size);
    config.write(4, u16(0xffff));
    config.write(0x10, u32(0xfa00_0000));
    expect(config.read(0, config.size).equals(before)).toBe(false);
    config.reset();
    expect(config.read(0, config.size).equals(before)).toBe(true);
  });
});
