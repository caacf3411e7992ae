// Every entry of driver-core/src/verbs/firmware-abi.ts as a question for a C compiler. These are no headers for user space: mlx5_ifc.h and
// device.h are the driver's own (include/linux/mlx5), and the first writes each field as an array with one element a bit.

import { fileURLToPath } from 'node:url';
import * as firmware from '../../../driver-core/src/verbs/firmware-abi.ts';
import type { Bits } from '../../../driver-core/src/verbs/mailbox.ts';
import type { Headers } from './compiler.ts';
import type { Question } from './question.ts';

/** In C they are spelled otherwise. */
const SPELLED: Readonly<Record<string, string>> = {
  VUID_BYTES: 'sizeof(struct mlx5_ifc_array1024_auto_bits) / 8',
  CAPABILITY_OFFSET: 'offsetof(struct mlx5_ifc_query_hca_cap_out_bits, capability) / 8',
};
/** Sentences about statuses, which have no names in firmware-abi.ts. */
const UNASKED: ReadonlySet<string> = new Set(['MLX5_CMD_STAT']);
/** Of these driver-core has the beginning. */
const CUT_SHORT: ReadonlySet<string> = new Set(['cmd_hca_cap', 'cmd_hca_cap_2']);

/** `directory` holds linux/mlx5. */
export function mlx5Headers(directory: string): Headers {
  const kernelWords = fileURLToPath(new URL('kernel-words', import.meta.url));
  return { directories: [kernelWords, directory], includes: ['linux/types.h', 'linux/mlx5/device.h'] };
}

export function firmwareQuestions(): Question[] {
  return Object.entries(firmware)
    .filter(([name]) => !UNASKED.has(name))
    .flatMap(([name, entry]) =>
      typeof entry === 'number'
        ? [{ what: name, expression: SPELLED[name] ?? name, ours: BigInt(entry) }]
        : aboutBits(entry as BitStruct, CUT_SHORT),
    );
}

/** A table of ours for a struct of mlx5_ifc.h, with the names that it has there. */
export interface BitStruct {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly fields: Readonly<Record<string, Bits>>;
}

/** Of a struct that is cut short, everything but its size. */
export function aboutBits({ name, size, fields }: BitStruct, cutShort: ReadonlySet<string>): Question[] {
  const struct = `struct mlx5_ifc_${name}_bits`;
  const about = Object.entries(fields).flatMap(([field, { offset, width }]) => [
    { what: `offset of ${name}.${field}`, expression: `offsetof(${struct}, ${field})`, ours: BigInt(offset) },
    { what: `width of ${name}.${field}`, expression: `sizeof(((${struct} *)0)->${field})`, ours: BigInt(width) },
  ]);
  if (cutShort.has(name)) return about;
  return [{ what: `size of ${name}`, expression: `sizeof(${struct}) / 8`, ours: BigInt(size) }, ...about];
}
