// Memory keys: what a key allows, and where the bytes behind it are. A data direct region is three of them in a row: the user's key
// is of the crossing kind and names a KSM key, whose entries name a physical key that was made with data_direct set.
import type { DmaMap } from '../vfio-user/dma-map.ts';
import { createMkeyIn, mkc } from './layouts.ts';
import type { Domains } from './hardware.ts';
import { CommandFailure } from './status.ts';

/** MLX5_MKC_ACCESS_MODE_*. */
export const ACCESS_MODE = { PHYSICAL: 0, MTT: 1, KLM: 2, KSM: 3, CROSSING: 6 } as const;
/** Bytes of a translation: of the KLM and KSM kinds, and of the MTT kind. */
const OCTWORD = 16;
const MTT = 8;
const TRANSLATIONS = 0x110;
/** UMR fills lists in units of this many bytes (MLX5_UMR_FLEX_ALIGNMENT), the last one with zeros. */
export const UMR_UNIT = 64;
/** As much as a key of the largest size that our capabilities allow can have. */
const mostTranslationBytes = 64 * 1024 * 1024;
/** crossing → KSM → physical is two steps; a driver cannot make us follow a ring. */
const deepest = 4;

/** The lists of all keys of a NIC together. Without an end to it a driver could make this process as large as it likes. */
export class ListRoom {
  #left = 4 * mostTranslationBytes;

  take(bytes: number): void {
    if (bytes > this.#left) throw new CommandFailure('NO_RES', 'the memory keys have too many translations together');
    this.#left -= bytes;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

export class MemoryKey {
  readonly index: number;
  /** Reaches memory by the DMA function instead of by the NIC. */
  readonly dataDirect: boolean;
  readonly context: Buffer;
  readonly #room: ListRoom;
  #translations: Buffer;

  constructor(index: number, command: Buffer, room: ListRoom) {
    const create = createMkeyIn.read(command);
    this.index = index;
    this.dataDirect = create.data_direct === 1;
    this.context = Buffer.from(create.memory_key_mkey_entry);
    const bytes = create.translations_octword_actual_size * OCTWORD;
    this.#room = room;
    this.#translations = Buffer.from(command.subarray(TRANSLATIONS, TRANSLATIONS + bytes));
    room.take(this.#translations.length);
  }

  /** The key is at its end. */
  release(): void {
    this.#room.give(this.#translations.length);
  }

  get mode(): number {
    const { access_mode_4_2, access_mode_1_0 } = mkc.read(this.context);
    return (access_mode_4_2 << 2) | access_mode_1_0;
  }

  get translations(): Buffer {
    return this.#translations;
  }

  /** Puts part of the list in its place; what lies before and was never written is zero. */
  setTranslations(offset: number, bytes: Buffer): void {
    const end = offset + bytes.length;
    const size = mkc.get(this.context, 'translations_octword_size') * OCTWORD;
    const most = Math.ceil(size / UMR_UNIT) * UMR_UNIT;
    if (end > Math.min(most, mostTranslationBytes)) {
      throw new CommandFailure(
        'BAD_PARAM',
        `memory key ${this.index} has room for ${most} bytes of translations, not for ${end}`,
      );
    }
    if (end > this.#translations.length) {
      this.#room.take(end - this.#translations.length);
      this.#translations = Buffer.concat([this.#translations], end);
    }
    bytes.copy(this.#translations, offset);
  }
}

/** Why an access was refused; the queue pair that tried gets an error completion. */
export class AccessViolation extends Error {}

export type Right = 'lr' | 'lw' | 'rr' | 'rw';

export interface Access {
  /** Index and variant, as lkey or rkey. */
  readonly key: number;
  readonly address: bigint;
  readonly length: number;
  readonly right: Right;
  /** Of the queue pair; a key reached through another key is not asked for it. */
  readonly pd?: number;
}

/** A run of addresses in one DMA domain. */
export interface Piece {
  readonly domain: DmaMap;
  readonly address: bigint;
  readonly length: number;
}

/** Twice what the longest message needs on pages of 4 KiB. Lists of lists could make a single access take hours. */
const mostTranslations = 2 ** 19;

/** How many translations an access, or all pieces of one together, may still look at, on whichever way. */
export class Patience {
  #left = mostTranslations;

  take(key: MemoryKey, translations: number): void {
    this.#left -= translations;
    if (this.#left < 0)
      throw new AccessViolation(`memory key ${key.index} scatters the access over too many translations`);
  }
}

interface Keys {
  readonly mkeys: ReadonlyMap<number, MemoryKey>;
  readonly domains: Domains;
}

/** Where the bytes are; AccessViolation when the key does not allow it. Whether the addresses are mapped shows when they are used. */
export function resolve(keys: Keys, access: Access, patience: Patience, depth = 0): Piece[] {
  const key = permitted(keys, access, depth);
  if (access.length === 0) return [];
  const follow = (next: Pick<Access, 'key' | 'address' | 'length'>): Piece[] =>
    resolve(keys, { ...next, right: access.right }, patience, depth + 1);
  switch (key.mode) {
    case ACCESS_MODE.PHYSICAL: {
      const domain = key.dataDirect ? keys.domains.dataDirect : keys.domains.dma;
      return [{ domain, address: access.address, length: access.length }];
    }
    case ACCESS_MODE.MTT:
      return pagesOf(key, MTT, access, patience).map(({ index, offset, length }) => ({
        domain: keys.domains.dma,
        address: (translation(key, index * MTT, MTT).readBigUInt64BE() & ~0xfffn) + BigInt(offset),
        length,
      }));
    case ACCESS_MODE.KSM:
      return pagesOf(key, OCTWORD, access, patience).flatMap(({ index, offset, length }) => {
        const entry = translation(key, index * OCTWORD, OCTWORD);
        return follow({ key: entry.readUInt32BE(4), address: entry.readBigUInt64BE(8) + BigInt(offset), length });
      });
    case ACCESS_MODE.KLM:
      return spansOf(key, access, patience).flatMap(follow);
    case ACCESS_MODE.CROSSING:
      return follow({ key: targetOf(key), address: access.address, length: access.length });
    default:
      throw new AccessViolation(`memory key ${key.index} has access mode ${key.mode}, which is not emulated`);
  }
}

/** Of a crossing key: where another kind of key has the size of its list. */
function targetOf(key: MemoryKey): number {
  return mkc.get(key.context, 'translations_octword_size');
}

function permitted({ mkeys }: Keys, { key: number, address, length, right, pd }: Access, depth: number): MemoryKey {
  const name = `key 0x${number.toString(16)}`;
  const key = mkeys.get(number >>> 8);
  if (key === undefined || depth > deepest) throw new AccessViolation(`${name} does not exist`);
  const context = mkc.read(key.context);
  if (context.mkey_7_0 !== (number & 0xff)) throw new AccessViolation(`${name} is of an earlier region`);
  if (context.free === 1) throw new AccessViolation(`${name} is free: its region has been revoked`);
  if (pd !== undefined && pd !== context.pd) throw new AccessViolation(`${name} belongs to another protection domain`);
  if (context[right] === 0) throw new AccessViolation(`${name} does not allow ${right}`);
  const isInside =
    context.length64 === 1 ||
    (address >= context.start_addr && address + BigInt(length) <= context.start_addr + context.len);
  if (!isInside) throw new AccessViolation(`${name} does not reach ${length} bytes at 0x${address.toString(16)}`);
  return key;
}

interface PageSpan {
  readonly index: number;
  readonly offset: number;
  readonly length: number;
}

/** Cuts a range at the key's pages, of which there have to be enough; the first page may begin before the key's start address. */
function pagesOf(key: MemoryKey, entrySize: number, { address, length }: Access, patience: Patience): PageSpan[] {
  const { log_page_size, start_addr } = mkc.read(key.context);
  const pageSize = 2 ** log_page_size;
  const start = Number(address - start_addr + (start_addr % BigInt(pageSize)));
  const [first, last] = [start, start + length - 1].map((at) => Math.floor(at / pageSize)) as [number, number];
  translation(key, last * entrySize, entrySize);
  patience.take(key, last - first + 1);
  return Array.from({ length: last - first + 1 }, (_, page) => {
    const index = first + page;
    const from = Math.max(start, index * pageSize);
    const to = Math.min(start + length, (index + 1) * pageSize);
    return { index, offset: from % pageSize, length: to - from };
  });
}

/** KLM entries are pieces of any length, one after the other. */
function spansOf(
  key: MemoryKey,
  { address, length }: Access,
  patience: Patience,
): Pick<Access, 'key' | 'address' | 'length'>[] {
  const spans: Pick<Access, 'key' | 'address' | 'length'>[] = [];
  let skip = Number(address - mkc.get(key.context, 'start_addr'));
  let left = length;
  for (let index = 0; left > 0; index += 1) {
    patience.take(key, 1);
    const entry = translation(key, index * OCTWORD, OCTWORD);
    const bytes = entry.readUInt32BE(0);
    const size = Math.min(left, bytes - skip);
    if (size > 0) {
      spans.push({ key: entry.readUInt32BE(4), address: entry.readBigUInt64BE(8) + BigInt(skip), length: size });
      left -= size;
    }
    skip = Math.max(0, skip - bytes);
  }
  return spans;
}

function translation(key: MemoryKey, at: number, size: number): Buffer {
  const entry = key.translations.subarray(at, at + size);
  if (entry.length < size)
    throw new AccessViolation(`memory key ${key.index} has no translation at byte ${at} of its list`);
  return entry;
}
