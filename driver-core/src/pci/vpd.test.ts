import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseVpd, VpdError } from './vpd.ts';

type Keywords = readonly (readonly [string, string])[];

/** An image as the specification wants it, written here by hand so that no code under test is believed twice. */
function image(name: string, keywords: Keywords, checksum?: 'good' | 'bad'): Buffer {
  const fields = keywords.map(([keyword, value]) =>
    Buffer.from(`${keyword}${String.fromCharCode(value.length)}${value}`, 'latin1'),
  );
  const reserved = checksum ? [Buffer.from([0x52, 0x56, 1, 0])] : [];
  const section = Buffer.concat([...fields, ...reserved]);
  const bytes = Buffer.concat([resource(0x82, Buffer.from(name, 'latin1')), resource(0x90, section), Buffer.of(0x78)]);
  if (checksum) {
    const at = bytes.length - 2;
    const sum = bytes.subarray(0, at).reduce((total, byte) => total + byte, 0);
    bytes[at] = ((checksum === 'good' ? 0 : 1) - sum) & 0xff;
  }
  return bytes;
}

function resource(tag: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tag, data.length & 0xff, data.length >> 8), data]);
}

function problemOf(bytes: Buffer): VpdError {
  try {
    parseVpd(bytes);
  } catch (error) {
    if (error instanceof VpdError) return error;
    throw error;
  }
  throw new Error('no error');
}

/** Where the image is refused, 0 where it is not; any other error than a VpdError passes through. */
function placeOf(bytes: Buffer): number {
  try {
    parseVpd(bytes);
    return 0;
  } catch (error) {
    if (error instanceof VpdError) return error.offset;
    throw error;
  }
}

const SERIALS: Keywords = [
  ['PN', '900-9X81Q-00CN-ST0'],
  ['SN', 'MT2421600CDE'],
  ['V3', 'a5d80e3c5b7711f08000b45cb5355194'],
  ['VU', 'MT2421600CDEMLNXDD0'],
];

describe('VPD of a healthy function', () => {
  it('gives name and keywords byte for byte', () => {
    const vpd = parseVpd(image('NVIDIA ConnectX-8 ', SERIALS, 'good'));
    expect(vpd.name).toBe('NVIDIA ConnectX-8');
    expect([...vpd.keywords]).toEqual(SERIALS);
    expect(vpd.checksum).toBe('good');
  });

  it('counts with a bad checksum too, as it does for the kernel', () => {
    const vpd = parseVpd(image('x', SERIALS, 'bad'));
    expect(vpd.checksum).toBe('bad');
    expect(vpd.keywords.get('VU')).toBe('MT2421600CDEMLNXDD0');
  });

  it('need not have a checksum', () => {
    expect(parseVpd(image('x', SERIALS)).checksum).toBeUndefined();
  });

  it('counts the first of two equal keywords, as the kernel does', () => {
    const twice = image('x', [
      ['V3', 'first'],
      ['V3', 'second'],
    ]);
    expect(parseVpd(twice).keywords.get('V3')).toBe('first');
  });

  it('ends a text at its NUL, as strcmp does', () => {
    expect(parseVpd(image('x', [['VU', 'ABC\0DEF']])).keywords.get('VU')).toBe('ABC');
  });

  it('passes over resources that are none of our business', () => {
    const bytes = Buffer.concat([resource(0x91, Buffer.from('YA\x01z')), Buffer.of(0x0a, 1, 2), image('x', SERIALS)]);
    expect([...parseVpd(bytes).keywords]).toEqual(SERIALS);
  });
});

describe('VPD that is none', () => {
  it.each([
    ['a function off the bus', Buffer.alloc(64, 0xff)],
    ['a function in reset', Buffer.alloc(64)],
    ['an empty file', Buffer.alloc(0)],
  ])('of %s is blank', (_, bytes) => {
    expect(problemOf(bytes)).toMatchObject({ code: 'VPD_BLANK', offset: 0 });
  });

  it('names keyword and offset where it is cut off', () => {
    const whole = image('x', [['VU', 'MT2421600CDEMLNXDD0']]);
    const announced = whole.indexOf('VU') + 2;
    whole[announced] = 200;
    const error = problemOf(whole);
    expect(error).toMatchObject({ code: 'VPD_TRUNCATED', offset: announced + 1 });
    expect(error.message).toContain('keyword VU');
    expect(error.message).toContain('200 bytes announced, 19 present');
  });

  it('counts up to the keyword that is cut off, as it does for the kernel', () => {
    const whole = image('x', SERIALS);
    whole[whole.indexOf('VU') + 2] = 200;
    const { keywords, broken } = parseVpd(whole);
    expect([...keywords]).toEqual(SERIALS.slice(0, 3));
    expect(broken?.message).toContain('keyword VU');
  });

  it('is truncated at every length short of its end, of which only the end tag can be missed', () => {
    const whole = image('ConnectX-8', SERIALS, 'good');
    const withoutEnd = whole.length - 1;
    for (let length = 1; length < withoutEnd; length++) {
      expect(problemOf(whole.subarray(0, length)).code).toBe('VPD_TRUNCATED');
    }
    const { keywords, broken } = parseVpd(whole.subarray(0, withoutEnd));
    expect([...keywords]).toEqual(SERIALS);
    expect(broken).toMatchObject({ code: 'VPD_TRUNCATED', offset: withoutEnd });
  });
});

describe('any VPD', () => {
  const keyword = fc.tuple(fc.constantFrom('PN', 'SN', 'V3', 'VU', 'VA', 'EC'), fc.stringMatching(/^[ -~]{0,255}$/));

  it('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.uniqueArray(keyword, { selector: ([name]) => name }), (keywords) => {
        expect([...parseVpd(image('any', keywords, 'good')).keywords]).toEqual(keywords);
      }),
    );
  });

  it('is parsed or refused with a place inside the image, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (noise, wrapped) => {
        const bytes = wrapped ? resource(0x90, Buffer.from(noise)) : Buffer.from(noise);
        expect(placeOf(bytes)).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 1000 },
    );
  });
});
