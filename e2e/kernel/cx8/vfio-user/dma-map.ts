// What a PCI function can reach by DMA: guest addresses (or, behind a translating IOMMU, IO virtual addresses) → guest RAM.

/** The function used an address that its domain does not have. */
export class DmaFault extends Error {
  readonly address: bigint;

  constructor(domain: string, address: bigint) {
    super(`0x${address.toString(16)} is not mapped in the DMA domain of ${domain}`);
    this.name = 'DmaFault';
    this.address = address;
  }
}

interface Range {
  readonly start: bigint;
  readonly end: bigint;
  readonly bytes: Buffer;
}

export class DmaMap {
  /** The function whose domain it is, for messages. */
  readonly owner: string;
  /** Ascending and apart from each other. */
  #ranges: Range[] = [];

  constructor(owner: string) {
    this.owner = owner;
  }

  get size(): number {
    return this.#ranges.length;
  }

  /** Where ranges overlap the later one counts. */
  map(start: bigint, bytes: Buffer): void {
    const end = start + BigInt(bytes.length);
    this.unmap(start, end - start);
    this.#ranges.splice(this.#firstEndingAfter(start), 0, { start, end, bytes });
  }

  /** What sticks out of the range on either side stays mapped. */
  unmap(start: bigint, size: bigint): void {
    const end = start + size;
    const first = this.#firstEndingAfter(start);
    let last = first;
    while ((this.#ranges[last]?.start ?? end) < end) last += 1;
    const rest = this.#ranges
      .slice(first, last)
      .flatMap((range) => [part(range, range.start, start), part(range, end, range.end)]);
    this.#ranges.splice(first, last - first, ...rest.filter((one) => one.end > one.start));
  }

  clear(): void {
    this.#ranges = [];
  }

  /** A copy; DmaFault when any of it is not mapped. */
  read(address: bigint, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (const piece of this.pieces(address, length)) at += piece.copy(bytes, at);
    return bytes;
  }

  /** All or nothing: a range that is not mapped as a whole is not written to. */
  write(address: bigint, bytes: Buffer): void {
    let at = 0;
    for (const piece of this.pieces(address, bytes.length)) at += bytes.copy(piece, 0, at);
  }

  /** The guest's own memory behind a range, in order. */
  pieces(address: bigint, length: number): Buffer[] {
    const pieces: Buffer[] = [];
    const end = address + BigInt(length);
    let index = this.#firstEndingAfter(address);
    for (let at = address; at < end;) {
      const range = this.#ranges[index];
      if (range === undefined || range.start > at) throw new DmaFault(this.owner, at);
      const to = range.end < end ? range.end : end;
      pieces.push(range.bytes.subarray(Number(at - range.start), Number(to - range.start)));
      at = to;
      index += 1;
    }
    return pieces;
  }

  #firstEndingAfter(address: bigint): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.end ?? 0n) > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The part of a range between two addresses; an empty or reversed one where they do not meet it. */
function part(range: Range, from: bigint, to: bigint): Range {
  const start = from > range.start ? from : range.start;
  const end = to < range.end ? to : range.end;
  return {
    start,
    end,
    bytes: end > start ? range.bytes.subarray(Number(start - range.start), Number(end - range.start)) : range.bytes,
  };
}
