// The C functions that only tests need. What driver-core needs is in its own host/native.ts.

import koffi from 'koffi';

const library = koffi.load(null);

/** Throws with the errno's name where the function returns less than zero. koffi knows no ssize_t. */
function bound(prototype: string): (...args: readonly (number | Buffer)[]) => number {
  const call = library.func(prototype) as (...args: readonly unknown[]) => number | bigint;
  return (...args) => {
    const result = Number(call(...args));
    if (result >= 0) return result;
    const number = koffi.errno();
    const name = Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? String(number);
    throw new Error(`${/\w+(?=\()/.exec(prototype)?.[0] ?? prototype}: ${name}`);
  };
}

export const libc = {
  socket: bound('int socket(int domain, int type, int protocol)'),
  sendto: bound('intptr_t sendto(int fd, void *data, size_t length, int flags, void *to, unsigned int toLength)'),
  ioctl: bound('int ioctl(int fd, unsigned long request, void *argument)'),
  recv: bound('intptr_t recv(int fd, _Out_ void *data, size_t length, int flags)'),
};

const mmap = library.func(
  'void *mmap(void *address, size_t length, int protection, int flags, int fd, intptr_t offset)',
);

/** Where the kernel puts it. */
export function map(length: number, protection: number, flags: number, fd: number): bigint {
  const address = mmap(null, length, protection, flags, fd, 0) as bigint;
  if (address === MAP_FAILED) throw new Error(`mmap: errno ${koffi.errno()}`);
  return address;
}

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
