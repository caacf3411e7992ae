// Vital Product Data: from the bytes of a `vpd` file to its keywords. Pure. What a keyword is good for stands in binding/evidence.ts.

export type VpdErrorCode = 'VPD_BLANK' | 'VPD_TRUNCATED';

/** The image breaks the format's rules at `offset`. */
export class VpdError extends Error {
  readonly code: VpdErrorCode;
  readonly file: string;
  readonly offset: number;
  constructor(code: VpdErrorCode, place: { readonly file: string; readonly offset: number }, says: string) {
    super(`${place.file}: ${says}`);
    this.name = 'VpdError';
    this.code = code;
    this.file = place.file;
    this.offset = place.offset;
  }
}

export interface Vpd {
  readonly name: string | undefined;
  /** Read-only keywords as written, such as SN, PN, V3, VU. Of a keyword that stands twice the first counts, as in the kernel. */
  readonly keywords: ReadonlyMap<string, string>;
  /** Of keyword RV; undefined where there is none. Reported only: the kernel pairs functions whatever the checksum says. */
  readonly checksum: 'good' | 'bad' | undefined;
  /** Where the image breaks off. What stands before is good all the same: the kernel and rdma_topo use it too. */
  readonly broken: VpdError | undefined;
}

/** PCI Local Bus Specification 3.0, appendix I; include/linux/pci.h. */
const LARGE = 0x80;
const IDENTIFIER_STRING = 0x82;
const READ_ONLY = 0x90;
/** Small resource: item name in bits 6..3, length in bits 2..0. */
const SMALL_END = 0xf;
const CHECKSUM_KEYWORD = 'RV';

/** Bytes of a file, from offset `base` on. */
interface Part {
  readonly file: string;
  readonly base: number;
  readonly bytes: Buffer;
}

interface Resource {
  readonly tag: number;
  readonly start: number;
  readonly data: Buffer;
}

/** Throws only where nothing can be read. `file` is for the words of errors. */
export function parseVpd(bytes: Buffer, file = 'vpd'): Vpd {
  const vpd = new Reading({ file, base: 0, bytes });
  try {
    vpd.read();
  } catch (error) {
    if (!(error instanceof VpdError) || vpd.keywords.size === 0) throw error;
    vpd.broken = error;
  }
  const { name, keywords, checksum, broken } = vpd;
  return { name, keywords, checksum, broken };
}

class Reading {
  name: string | undefined;
  checksum: Vpd['checksum'];
  broken: VpdError | undefined;
  readonly keywords = new Map<string, string>();
  readonly #image: Part;

  constructor(image: Part) {
    this.#image = image;
  }

  read(): void {
    for (const { tag, start, data } of resources(this.#image)) {
      if (tag === IDENTIFIER_STRING) this.name ??= text(data).trim();
      if (tag === READ_ONLY) this.#readKeywords({ ...this.#image, base: start, bytes: data });
    }
  }

  #readKeywords(section: Part): void {
    for (const { keyword, at, value } of keywordsOf(section)) {
      if (keyword === CHECKSUM_KEYWORD)
        this.checksum ??= sumsToZero(this.#image.bytes.subarray(0, at + 1)) ? 'good' : 'bad';
      else if (!this.keywords.has(keyword)) this.keywords.set(keyword, text(value));
    }
  }
}

/** A blank first byte is what a device answers that is in reset or off the bus (drivers/pci/vpd.c, pci_vpd_size). */
function* resources(image: Part): Generator<Resource> {
  const first = image.bytes[0];
  if (first === undefined || first === 0x00 || first === 0xff)
    throw new VpdError(
      'VPD_BLANK',
      { file: image.file, offset: 0 },
      first === undefined ? 'VPD is empty' : `VPD begins with ${hex(first)}: the function is in reset or off the bus`,
    );
  let offset = 0;
  for (;;) {
    const { tag, header, length } = resourceHeader(image, offset);
    if (tag === SMALL_END) return;
    const start = offset + header;
    yield { tag, start, data: take(image, start, length, `resource ${hex(tag)}`) };
    offset = start + length;
  }
}

function resourceHeader(image: Part, offset: number): { tag: number; header: number; length: number } {
  const byte = take(image, offset, 1, 'the list of resources').readUInt8();
  if (byte & LARGE) {
    const length = take(image, offset + 1, 2, `the header of resource ${hex(byte)}`).readUInt16LE();
    return { tag: byte, header: 3, length };
  }
  return { tag: (byte >> 3) & 0xf, header: 1, length: byte & 0x7 };
}

function* keywordsOf(section: Part) {
  let offset = 0;
  while (offset < section.bytes.length) {
    const header = take(section, offset, 3, 'a keyword’s header');
    const keyword = text(header.subarray(0, 2));
    const length = header.readUInt8(2);
    yield { keyword, at: section.base + offset + 3, value: take(section, offset + 3, length, `keyword ${keyword}`) };
    offset += 3 + length;
  }
}

function take({ file, base, bytes }: Part, offset: number, length: number, what: string): Buffer {
  const got = Math.max(bytes.length - offset, 0);
  if (got >= length) return bytes.subarray(offset, offset + length);
  const at = base + offset;
  throw new VpdError(
    'VPD_TRUNCATED',
    { file, offset: at },
    `VPD ends inside ${what} at offset ${hex(at)}: ${length} bytes announced, ${got} present`,
  );
}

/** Byte for byte; a text ends at its first NUL, as for the kernel, which compares VUIDs with strcmp. */
function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

function sumsToZero(bytes: Buffer): boolean {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return (sum & 0xff) === 0;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}
