// The few libc functions that Node does not have, through koffi, which is loaded when one is called: reading files needs none of them.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import type Koffi from 'koffi';

import { Errno } from './host.ts';

/** `ioctl` and `syscall` are variadic in C; on x86-64 and aarch64 Linux such arguments are passed like any other. koffi knows no ssize_t. */
const PROTOTYPES = {
  ioctl: 'int ioctl(int fd, unsigned long request, void *argument)',
  poll: 'int poll(void *fds, unsigned long count, int milliseconds)',
  socket: 'int socket(int domain, int type, int protocol)',
  bind: 'int bind(int fd, void *address, unsigned int length)',
  setsockopt: 'int setsockopt(int fd, int level, int name, void *value, unsigned int length)',
  recvfrom: 'intptr_t recvfrom(int fd, void *buffer, size_t length, int flags, void *address, void *addressLength)',
  eventfd: 'int eventfd(unsigned int value, int flags)',
  memfd_create: 'int memfd_create(const char *name, unsigned int flags)',
  fcntl: 'int fcntl(int fd, int command, int argument)',
  /** As openat2 takes it, which has no wrapper of its own. */
  syscall: 'long syscall(long number, int directory, const char *path, void *how, size_t size)',
  _exit: 'void _exit(int status)',
} as const;

type Name = keyof typeof PROTOTYPES;
type Argument = number | bigint | string | Buffer;
interface NativeFunction {
  (...values: Argument[]): unknown;
  async: (...values: [...Argument[], (error: Error | null, result: number) => void]) => void;
}

export interface Native {
  /** Returns at once: only for calls that cannot block. */
  call(name: Name, ...values: Argument[]): number | Errno;
  /** On a thread of libuv's pool. Buffers passed stay alive until the call has ended. */
  callOnThread(name: Name, ...values: Argument[]): Promise<number | Errno>;
  /** Where a buffer's bytes are, for a pointer inside another buffer; whoever writes it there has to keep the buffer alive. */
  address(buffer: Buffer): bigint;
  /** _exit: without waiting for any thread, without running anything. */
  exitNow(status: number): void;
}

let loaded: Native | undefined;

/** At the first call that needs it, and then at once: who begins to listen must not miss what happens while a module is loaded. */
export function loadNative(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  // The same file as import('koffi') takes, without its await.
  const file = fileURLToPath(import.meta.resolve('koffi'));
  const { default: koffi } = createRequire(import.meta.url)(file) as { readonly default: typeof Koffi };
  const libc = koffi.load(null);
  const functions = new Map<Name, NativeFunction>();
  const named = (name: Name): NativeFunction => {
    const known = functions.get(name) ?? libc.func(PROTOTYPES[name]);
    functions.set(name, known);
    return known;
  };
  const codes = Object.entries(koffi.os.errno).filter(([code]) => !ALIASES.has(code));
  const names = new Map(codes.map(([code, number]) => [number, code]));
  // errno is the calling thread's; koffi carries it over into the callback of an asynchronous call.
  const answer = (name: Name, result: unknown): number | Errno => {
    if (Number(result) >= 0) return Number(result);
    const number = koffi.errno();
    return new Errno(names.get(number) ?? KERNEL_ONLY[number] ?? `E${number}`, number, name);
  };
  return {
    call: (name, ...values) => answer(name, named(name)(...values)),
    callOnThread: (name, ...values) =>
      new Promise((resolve, reject) => {
        named(name).async(...values, (error, result) => (error ? reject(error) : resolve(answer(name, result))));
      }),
    address: (buffer) => koffi.address(buffer),
    exitNow: (status) => void named('_exit')(status),
  };
}

/** Second names of EAGAIN, EDEADLK and EOPNOTSUPP, which the kernel's own sources do not use. */
const ALIASES: ReadonlySet<string> = new Set(['EWOULDBLOCK', 'EDEADLOCK', 'ENOTSUP']);

/** include/linux/errno.h: not meant for user space, and seen there all the same (nvidia.ko answers 524). */
const KERNEL_ONLY: Readonly<Record<number, string>> = { 524: 'ENOTSUPP' };
