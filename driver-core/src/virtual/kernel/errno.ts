// Linux errno by name, as the kernel sheds them (include/uapi/asm-generic/errno*.h; 524 from include/linux/errno.h leaks to user space).
// Own numbers, not those of the machine that the virtual host happens to run on.
import { Errno } from '../../host/host.ts';

const numbers = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EEXIST: 17,
  EFAULT: 14,
  EBUSY: 16,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENOTTY: 25,
  ENOSPC: 28,
  ELOOP: 40,
  EPROTO: 71,
  EBADMSG: 74,
  EMSGSIZE: 90,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  EREMOTEIO: 121,
  ENOTSUPP: 524,
} as const;

export type ErrnoName = keyof typeof numbers;

export function errno(name: ErrnoName, what: string): Errno {
  return new Errno(name, numbers[name], what);
}

/** As parseErrno reads it. */
export function errnoWord({ code, number }: Errno): string {
  return Object.hasOwn(numbers, code) ? code : `${number}`;
}

/** By name or number, also a number that nobody has named; undefined when it is neither. */
export function parseErrno(word: string, what: string): Errno | undefined {
  if (Object.hasOwn(numbers, word)) return errno(word as ErrnoName, what);
  if (!/^[1-9][0-9]{0,3}$/.test(word)) return undefined;
  const number = Number(word);
  const name = Object.entries(numbers).find(([, known]) => known === number)?.[0];
  return number <= 4095 ? new Errno(name ?? `errno ${number}`, number, what) : undefined;
}
