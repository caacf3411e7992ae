// What a registration for data direct may ask for, checked before the kernel is: its EINVAL and EOPNOTSUPP do not say which of ten rules was
// broken. One row a rule, with what to change. The request's bytes are memory-region.ts.
import * as abi from './abi.ts';

/** Access by its names in enum ib_uverbs_access_flags, as far as a region over a DMABUF can have it. */
const ACCESS = {
  LOCAL_WRITE: abi.IB_UVERBS_ACCESS_LOCAL_WRITE,
  REMOTE_WRITE: abi.IB_UVERBS_ACCESS_REMOTE_WRITE,
  REMOTE_READ: abi.IB_UVERBS_ACCESS_REMOTE_READ,
  REMOTE_ATOMIC: abi.IB_UVERBS_ACCESS_REMOTE_ATOMIC,
  RELAXED_ORDERING: abi.IB_UVERBS_ACCESS_RELAXED_ORDERING,
} as const;

export type Access = keyof typeof ACCESS;

const DEFAULT_ACCESS: readonly Access[] = ['LOCAL_WRITE', 'REMOTE_WRITE', 'REMOTE_READ'];

/** A range of a DMABUF that the NIC is to reach through its DMA function. */
export interface Registration {
  /** Of the DMABUF, as its exporter gave it (CUDA: cuMemGetHandleForAddressRange). It may be closed once the region is registered. */
  readonly fd: number;
  /** Bytes. */
  readonly length: number | bigint;
  /** Where the range begins in the DMABUF. Default 0. */
  readonly offset?: number | bigint;
  /** The address under which the range is reached, locally with lkey and remotely with rkey. Default 0. */
  readonly iova?: number | bigint;
  /** Default: local write, remote write, remote read. */
  readonly access?: readonly Access[];
}

export type RegistrationErrorCode =
  | 'REGISTRATION_NUMBER_INVALID'
  | 'REGISTRATION_EMPTY'
  | 'REGISTRATION_OVERFLOW'
  | 'REGISTRATION_IOVA_UNALIGNED'
  | 'REGISTRATION_OFFSET_UNALIGNED'
  | 'REGISTRATION_ACCESS_UNKNOWN'
  | 'REGISTRATION_ACCESS_INCOMPLETE';

/** The registration as asked for cannot succeed on this machine, whatever the state of the hardware. */
export class RegistrationError extends Error {
  readonly code: RegistrationErrorCode;
  constructor(code: RegistrationErrorCode, message: string) {
    super(message);
    this.name = 'RegistrationError';
    this.code = code;
  }
}

/** The registration in the kernel's own terms. */
export interface Wanted {
  readonly fd: number;
  readonly length: bigint;
  readonly offset: bigint;
  readonly iova: bigint;
  readonly access: number;
}

const MOST = 1n << 64n;

interface Rule {
  readonly code: RegistrationErrorCode;
  /** The sentence where the rule is broken. */
  readonly broken: (wanted: Wanted, pageSize: bigint) => string | undefined;
}

/**
 * Sources: drivers/infiniband/core/{uverbs_std_types_mr,umem_dmabuf}.c, ib_check_mr_access of include/rdma/ib_verbs.h,
 * drivers/infiniband/hw/mlx5/mr.c. Data direct regions are made of a KSM mkey, whose entries are whole system pages.
 */
const RULES: readonly Rule[] = [
  {
    code: 'REGISTRATION_EMPTY',
    broken: ({ length }) => (length === 0n ? 'length is 0; register at least one byte' : undefined),
  },
  {
    code: 'REGISTRATION_OVERFLOW',
    broken: ({ offset, length }) => overflow('offset', offset, length),
  },
  {
    code: 'REGISTRATION_OVERFLOW',
    broken: ({ iova, length }) => overflow('iova', iova, length),
  },
  {
    code: 'REGISTRATION_IOVA_UNALIGNED',
    broken: ({ iova }, page) => unaligned('iova', iova, page),
  },
  {
    code: 'REGISTRATION_OFFSET_UNALIGNED',
    broken: ({ offset }, page) => unaligned('offset', offset, page),
  },
  {
    code: 'REGISTRATION_ACCESS_INCOMPLETE',
    broken: ({ access }) => {
      const needing = (['REMOTE_WRITE', 'REMOTE_ATOMIC'] as const).filter((name) => (access & ACCESS[name]) !== 0);
      return needing.length > 0 && (access & ACCESS.LOCAL_WRITE) === 0
        ? `access has ${needing.join(' and ')} without LOCAL_WRITE; add LOCAL_WRITE`
        : undefined;
    },
  },
];

/** Throws a RegistrationError for the first rule that is broken. `pageSize` is the system's own: 4096, or 65536 on many Grace kernels. */
export function checked(asked: Registration, pageSize: number): Wanted {
  const wanted: Wanted = {
    fd: number32('fd', asked.fd),
    length: unsigned('length', asked.length),
    offset: unsigned('offset', asked.offset ?? 0),
    iova: unsigned('iova', asked.iova ?? 0),
    access: flagsOf(asked.access ?? DEFAULT_ACCESS),
  };
  for (const { code, broken } of RULES) {
    const sentence = broken(wanted, BigInt(pageSize));
    if (sentence !== undefined) throw new RegistrationError(code, sentence);
  }
  return wanted;
}

function overflow(name: string, start: bigint, length: bigint): string | undefined {
  return start + length >= MOST
    ? `${name} ${hex(start)} + length ${hex(length)} goes beyond 64 bits; register a smaller range`
    : undefined;
}

function unaligned(name: string, value: bigint, page: bigint): string | undefined {
  const beyond = value % page;
  if (beyond === 0n) return undefined;
  const below = value - beyond;
  return (
    `${name} ${hex(value)} is not a multiple of the system page, ${page} bytes on this kernel; ` +
    `use ${hex(below)} or ${hex(below + page)}, and a range that covers what is needed from there`
  );
}

function flagsOf(names: readonly Access[]): number {
  return names.reduce((flags, name) => flags | flagOf(name), 0);
}

/** Callers without types can write anything. */
function flagOf(name: string): number {
  if (isAccess(name)) return ACCESS[name];
  const hint = name === 'ON_DEMAND' ? ': a data direct region is pinned and cannot be paged on demand' : '';
  const known = Object.keys(ACCESS).join(', ');
  throw new RegistrationError(
    'REGISTRATION_ACCESS_UNKNOWN',
    `access ${JSON.stringify(name)} is not possible${hint}; use ${known}`,
  );
}

function isAccess(name: string): name is Access {
  return Object.hasOwn(ACCESS, name);
}

function unsigned(name: string, value: number | bigint): bigint {
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (whole && value >= 0 && value < MOST) return BigInt(value);
  throw invalid(name, value, 'a whole number from 0 (a bigint beyond 2^53)');
}

function number32(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw invalid(name, value, 'an open file descriptor');
}

function invalid(name: string, value: unknown, expected: string): RegistrationError {
  return new RegistrationError('REGISTRATION_NUMBER_INVALID', `${name} is ${String(value)}; expected ${expected}`);
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
