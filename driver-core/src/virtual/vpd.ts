// Vital product data as bytes (PCI Local Bus 3.0, appendix I): writing it for fixtures and changes, and reading it as the kernel's driver does.
// The reader of pci/ that faces the user is another one on purpose: a mistake must not be able to agree with itself.
import type { Answer } from '../host/host.ts';
import { errno } from './kernel/errno.ts';

const IDENTIFIER = 0x82;
const READ_ONLY = 0x90;
const END = 0x78;

/** An image with an identifier string, these read-only keywords in this order, and a valid RV checksum. */
export function encodeVpd(name: string, keywords: Readonly<Record<string, string>>): Buffer {
  const fields = Object.entries(keywords).map(([keyword, value]) =>
    Buffer.concat([Buffer.from(keyword, 'latin1'), Buffer.of(value.length), Buffer.from(value, 'latin1')]),
  );
  const checksumField = Buffer.from([0x52, 0x56, 1, 0]);
  const image = Buffer.concat([
    large(IDENTIFIER, Buffer.from(name, 'latin1')),
    large(READ_ONLY, Buffer.concat([...fields, checksumField])),
  ]);
  // RV: all bytes from the start up to and including the checksum add up to zero.
  image[image.length - 1] = -image.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return Buffer.concat([image, Buffer.of(END)]);
}

function large(tag: number, data: Buffer): Buffer {
  const head = Buffer.of(tag, 0, 0);
  head.writeUInt16LE(data.length, 1);
  return Buffer.concat([head, data]);
}

/** The image with one read-only keyword changed or added; what stands beside name and read-only keywords is not kept. */
export function withKeyword(image: Buffer, keyword: string, value: string): Buffer {
  const name = section(image, IDENTIFIER);
  const keywords = [...readOnlyFields(image)]
    .filter((field) => field.keyword !== 'RV')
    .map((field): [string, string] => [field.keyword, field.value.toString('latin1')]);
  return encodeVpd(image.toString('latin1', name?.start ?? 0, name?.end ?? 0), {
    ...Object.fromEntries(keywords),
    [keyword]: value,
  });
}

/**
 * A keyword of the read-only section, in the manner of pci_vpd_find_ro_info_keyword (drivers/pci/vpd.c): no checksum is asked for,
 * a section that announces too much is cut at the end of the image, a value that does is EINVAL.
 */
export function readOnlyKeyword(image: Buffer, keyword: string): Answer<string> {
  for (const field of readOnlyFields(image)) {
    if (field.keyword !== keyword) continue;
    return field.value.length < field.announced
      ? errno('EINVAL', `VPD keyword ${keyword}`)
      : field.value.toString('latin1');
  }
  return errno('ENOENT', `VPD keyword ${keyword}`);
}

function* readOnlyFields(image: Buffer): Generator<{ keyword: string; announced: number; value: Buffer }> {
  const place = section(image, READ_ONLY);
  if (place === undefined) return;
  for (let at = place.start; at + 3 <= place.end;) {
    const announced = image.readUInt8(at + 2);
    yield {
      keyword: image.toString('latin1', at, at + 2),
      announced,
      value: image.subarray(at + 3, at + 3 + announced),
    };
    at += 3 + announced;
  }
}

/** pci_vpd_find_tag: large resource tags follow each other; the first small one ends the search. */
function section(image: Buffer, wanted: number): { start: number; end: number } | undefined {
  let at = 0;
  while (at + 3 <= image.length && (image.readUInt8(at) & 0x80) !== 0) {
    const tag = image.readUInt8(at);
    const length = image.readUInt16LE(at + 1);
    at += 3;
    if (tag === wanted) return { start: at, end: Math.min(at + length, image.length) };
    at += length;
  }
  return undefined;
}
