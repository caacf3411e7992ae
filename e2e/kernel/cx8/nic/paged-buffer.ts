// A queue's ring in guest memory: contiguous to the queue, scattered over the pages of a list that came with its CREATE command.
import type { DmaMap } from '../vfio-user/dma-map.ts';
import { CommandFailure } from './status.ts';

/** Behind the fixed part of CREATE_EQ, CREATE_CQ, CREATE_QP: 8 bytes a page, the low 12 bits are flags. */
const LIST = 0x110;
const SMALLEST_PAGE_LOG = 12;

/** Of 2^22 entries at most: what we say in the capabilities is less. */
const LOG_LONGEST = 22;

export function ringLength(logEntries: number, entrySize: number): number {
  if (logEntries > LOG_LONGEST) throw new CommandFailure('BAD_PARAM', `a queue of 2^${logEntries} entries`);
  return 2 ** logEntries * entrySize;
}

export interface BufferShape {
  /** Pages are 4096 << logPageSize bytes. */
  readonly logPageSize: number;
  /** Where in the first page the ring begins, in 64ths of a page. */
  readonly pageOffset: number;
  readonly length: number;
}

export class PagedBuffer {
  readonly #dma: DmaMap;
  readonly #pages: readonly bigint[];
  readonly #pageSize: number;
  readonly #start: number;
  readonly length: number;

  constructor(dma: DmaMap, command: Buffer, { logPageSize, pageOffset, length }: BufferShape) {
    this.#dma = dma;
    this.#pageSize = 2 ** (SMALLEST_PAGE_LOG + logPageSize);
    this.#start = (pageOffset * this.#pageSize) / 64;
    this.length = length;
    const count = Math.ceil((this.#start + length) / this.#pageSize);
    if (command.length < LIST + count * 8) {
      throw new CommandFailure('BAD_INP_LEN', `a queue of ${length} bytes needs ${count} pages, the list is shorter`);
    }
    this.#pages = Array.from({ length: count }, (_, index) => command.readBigUInt64BE(LIST + index * 8) & ~0xfffn);
  }

  /** Wraps around at the end. */
  read(offset: number, length: number): Buffer {
    return Buffer.concat(this.#chunks(offset, length).map(({ address, size }) => this.#dma.read(address, size)));
  }

  write(offset: number, bytes: Buffer): void {
    let at = 0;
    for (const { address, size } of this.#chunks(offset, bytes.length)) {
      this.#dma.write(address, bytes.subarray(at, at + size));
      at += size;
    }
  }

  #chunks(offset: number, length: number): { address: bigint; size: number }[] {
    const chunks: { address: bigint; size: number }[] = [];
    for (let done = 0; done < length;) {
      const inRing = (offset + done) % this.length;
      const inPages = this.#start + inRing;
      const inPage = inPages % this.#pageSize;
      const size = Math.min(length - done, this.#pageSize - inPage, this.length - inRing);
      const page = this.#pages[Math.floor(inPages / this.#pageSize)] ?? 0n;
      chunks.push({ address: page + BigInt(inPage), size });
      done += size;
    }
    return chunks;
  }
}
