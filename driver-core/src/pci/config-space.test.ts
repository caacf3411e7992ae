import { describe, expect, it } from 'vitest';

import { acsControl, hasAts } from './config-space.ts';

const ACS = 0x0d;
const ATS = 0x0f;
const AER = 0x01;

/** A function with these extended capabilities, one behind the other. */
function configWith(...capabilities: readonly { readonly id: number; readonly control?: number }[]): Buffer {
  const config = Buffer.alloc(4096);
  config.writeUInt16LE(0x15b3, 0);
  for (const [index, { id, control = 0 }] of capabilities.entries()) {
    const at = 0x100 + index * 0x40;
    const next = index + 1 < capabilities.length ? at + 0x40 : 0;
    config.writeUInt32LE(((next << 20) | (1 << 16) | id) >>> 0, at);
    config.writeUInt16LE(control, at + 6);
  }
  return config;
}

describe('the ACS of a port', () => {
  it('is the control bits of its ACS capability, wherever that stands', () => {
    expect(acsControl(configWith({ id: ACS, control: 0b0011101 }))).toBe(0b0011101);
    expect(acsControl(configWith({ id: AER }, { id: ATS }, { id: ACS, control: 0b0010101 }))).toBe(0b0010101);
  });

  it('is no more than seven bits', () => {
    expect(acsControl(configWith({ id: ACS, control: 0xff9d }))).toBe(0b0011101);
  });

  it('is hidden from those who are not root, who see the first 64 bytes', () => {
    expect(acsControl(configWith({ id: ACS, control: 1 }).subarray(0, 64))).toBe('hidden');
    expect(acsControl(Buffer.alloc(0))).toBe('hidden');
  });

  it('is absent where there is no such capability, and on conventional PCI', () => {
    expect(acsControl(configWith({ id: AER }))).toBe('absent');
    expect(acsControl(configWith({ id: ACS }).subarray(0, 256))).toBe('absent');
  });

  it('is not taken from a function that fell off the bus, which reads as ones', () => {
    expect(acsControl(Buffer.alloc(4096, 0xff))).toBe('gone');
  });

  it('is not looked for for ever: a chain that ends nowhere ends the search', () => {
    const loop = configWith({ id: AER }, { id: ATS });
    loop.writeUInt32LE(((0x100 << 20) | ATS) >>> 0, 0x140);
    expect(acsControl(loop)).toBe('absent');
    const beyond = configWith({ id: AER });
    beyond.writeUInt32LE(((0xffc << 20) | ACS) >>> 0, 0x100);
    expect(acsControl(beyond.subarray(0, 0x106))).toBe('absent');
  });
});

describe('ATS of a NIC', () => {
  it('is there, or not, or cannot be told', () => {
    expect(hasAts(configWith({ id: AER }, { id: ATS }))).toBe(true);
    expect(hasAts(configWith({ id: AER }))).toBe(false);
    expect(hasAts(configWith({ id: ATS }).subarray(0, 64))).toBeUndefined();
    expect(hasAts(Buffer.alloc(4096, 0xff))).toBeUndefined();
  });
});
