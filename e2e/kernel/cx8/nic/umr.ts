// User-mode memory registration: a work request that changes a memory key and its translations. Linux fills a data direct region with
// it, and takes it away again (revocation) by setting it free.
import { mkc } from './layouts.ts';
import type { MemoryKey } from './memory-key.ts';
import { SEGMENT, umrControlSegment } from './work-request.ts';

type Field = keyof ReturnType<typeof mkc.read>;

/** MLX5_MKEY_MASK_* (include/linux/mlx5/device.h): which fields of the key a bit of the mask covers. */
export const MASK: readonly { readonly name: string; readonly bit: bigint; readonly fields: readonly Field[] }[] = [
  { name: 'LEN', bit: 0n, fields: ['len', 'length64'] },
  { name: 'PAGE_SIZE', bit: 1n, fields: ['log_page_size'] },
  { name: 'START_ADDR', bit: 6n, fields: ['start_addr'] },
  { name: 'PD', bit: 7n, fields: ['pd'] },
  { name: 'KEY', bit: 13n, fields: ['mkey_7_0'] },
  { name: 'QPN', bit: 14n, fields: ['qpn'] },
  { name: 'LR', bit: 17n, fields: ['lr'] },
  { name: 'LW', bit: 18n, fields: ['lw'] },
  { name: 'RR', bit: 19n, fields: ['rr'] },
  { name: 'RW', bit: 20n, fields: ['rw'] },
  { name: 'A', bit: 21n, fields: ['a'] },
  { name: 'RELAXED_ORDERING_WRITE', bit: 25n, fields: ['relaxed_ordering_write'] },
  { name: 'FREE', bit: 29n, fields: ['free'] },
  { name: 'RELAXED_ORDERING_READ', bit: 47n, fields: ['relaxed_ordering_read'] },
];

/** Control segment, UMR control segment, the key's new context, then where the translations are. */
const UMR_CONTROL = SEGMENT;
const KEY_CONTEXT = UMR_CONTROL + umrControlSegment.size;
export const UMR_DATA = KEY_CONTEXT + mkc.size;

export interface UmrRequest {
  readonly control: ReturnType<typeof umrControlSegment.read>;
  readonly context: Buffer;
}

/** RangeError when the entry is too short. */
export function umrRequest(entry: Buffer): UmrRequest {
  const context = entry.subarray(KEY_CONTEXT, UMR_DATA);
  mkc.read(context);
  return { control: umrControlSegment.read(entry, UMR_CONTROL), context };
}

/** Why the key must not be changed as it is now; undefined when it may. */
export function umrRefusal(key: MemoryKey, { control }: UmrRequest): string | undefined {
  const isFree = mkc.get(key.context, 'free') === 1;
  if (isFree && control.fail_if_free === 1) return `memory key ${key.index} is free`;
  if (!isFree && control.fail_if_not_free === 1) return `memory key ${key.index} is in use`;
  return undefined;
}

/** `translations` is empty for a request without any. */
export function changeKey(key: MemoryKey, { control, context }: UmrRequest, translations: Buffer): void {
  if (control.inline === 0) {
    const octowords = control.offset_enabled === 1 ? control.offset_high * 0x1_0000 + control.offset : 0;
    key.setTranslations(octowords * SEGMENT, translations.subarray(0, control.octowords * SEGMENT));
  }
  const given = mkc.read(context);
  const covered = MASK.filter(({ bit }) => ((control.mask >> bit) & 1n) === 1n).flatMap(({ fields }) => fields);
  mkc.write(key.context, Object.fromEntries(covered.map((field) => [field, given[field]])));
}
