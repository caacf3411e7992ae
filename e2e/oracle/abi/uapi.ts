// Every entry of driver-core/src/verbs/abi.ts as a question for a C compiler. The program is made from the entries' own names, which are C's:
// an entry that is added there is asked about here, and one that C does not know is an error.

import { join } from 'node:path';
import * as abi from '../../../driver-core/src/verbs/abi.ts';
import type { Field, Struct } from '../../../driver-core/src/verbs/struct.ts';
import { architectures, hostArchitecture } from '../../../scripts/image/architectures.ts';
import type { Headers } from './compiler.ts';
import type { Question } from './question.ts';

/** In C they are spelled otherwise. */
const SPELLED: Readonly<Record<string, string>> = { UVERBS_ID_DRIVER_NS: '1 << UVERBS_ID_NS_SHIFT' };

const FWCTL: readonly string[] = ['FWCTL_RPC', 'FWCTL_RPC_CONFIGURATION', 'fwctl_rpc'];
/** Entries that the headers of Linux 6.12, the first with data direct, do not have yet. */
export const NEWER_THAN_6_12: ReadonlySet<string> = new Set(FWCTL);

const INCLUDES = [
  'linux/limits.h',
  'rdma/ib_user_ioctl_cmds.h',
  'rdma/ib_user_ioctl_verbs.h',
  'rdma/ib_user_verbs.h',
  'rdma/mlx5-abi.h',
  'rdma/mlx5_user_ioctl_cmds.h',
  'rdma/mlx5_user_ioctl_verbs.h',
  'rdma/rdma_user_ioctl_cmds.h',
];

/** `directory` is a usr/include of linux-libc-dev. */
export function uapiHeaders(directory: string, newest: boolean): Headers {
  const { triplet } = architectures[hostArchitecture()];
  return {
    directories: [directory, join(directory, triplet)],
    includes: newest ? [...INCLUDES, 'fwctl/fwctl.h'] : INCLUDES,
  };
}

export function uapiQuestions(without: ReadonlySet<string> = new Set()): Question[] {
  return Object.entries(abi)
    .filter(([name]) => !without.has(name))
    .flatMap(([name, entry]) =>
      typeof entry === 'number' || typeof entry === 'bigint'
        ? [{ what: name, expression: SPELLED[name] ?? name, ours: BigInt(entry) }]
        : aboutStruct(entry),
    );
}

type AnyStruct = Struct<Readonly<Record<string, Field<number> | Field<bigint>>>>;

function aboutStruct(struct: AnyStruct): Question[] {
  const { name, size, offsets } = struct;
  const fields = Object.entries(offsets).flatMap(([field, offset]) => [
    { what: `offset of ${name}.${field}`, expression: `offsetof(struct ${name}, ${field})`, ours: BigInt(offset) },
    {
      what: `size of ${name}.${field}`,
      expression: `sizeof(((struct ${name} *)0)->${field})`,
      ours: BigInt(bytesOf(struct, field)),
    },
  ]);
  return [{ what: `size of ${name}`, expression: `sizeof(struct ${name})`, ours: BigInt(size) }, ...fields];
}

/** By what the field takes: the widest value that is not refused. */
function bytesOf(struct: AnyStruct, field: string): number {
  const fits = (value: number | bigint): boolean => {
    try {
      struct.encode({ [field]: value });
      return true;
    } catch {
      return false;
    }
  };
  if (fits(0xffff_ffff_ffff_ffffn)) return 8;
  return [4, 2, 1].find((bytes) => fits(2 ** (8 * bytes) - 1)) ?? 0;
}
