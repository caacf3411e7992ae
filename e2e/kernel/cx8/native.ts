// The libc calls that Node does not have: sockets that carry file descriptors, poll, mmap. Nothing here blocks but poll, for as
// long as it is told: the server is one process with one thread that waits in poll and nowhere else.
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { struct, u16, u32, u64 } from '../../../driver-core/src/verbs/struct.ts';
import { serverError } from './errors.ts';

const libc = koffi.load(null);
/** koffi knows no ssize_t; the types are those of 64-bit Linux. */
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, void *address, unsigned int length)');
const listenOn = libc.func('int listen(int fd, int backlog)');
const accept4 = libc.func('int accept4(int fd, void *address, void *length, int flags)');
const connectTo = libc.func('int connect(int fd, void *address, unsigned int length)');
const recvmsg = libc.func('intptr_t recvmsg(int fd, void *message, int flags)');
const sendmsg = libc.func('intptr_t sendmsg(int fd, void *message, int flags)');
const pollFor = libc.func('int poll(void *fds, unsigned long count, int milliseconds)');
const mmap = libc.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)');
const munmap = libc.func('int munmap(void *address, size_t length)');

const AF_UNIX = 1;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const EAGAIN = 11;

/** struct sockaddr_un holds this much of a path. */
export const longestSocketPath = 107;

// bits/socket.h on 64-bit Linux.
const iovec = struct('iovec', { base: u64, length: u64 });
const msghdr = struct('msghdr', {
  name: u64,
  nameLength: u32,
  iov: u64,
  iovLength: u64,
  control: u64,
  controlLength: u64,
  flags: u32,
});
const cmsghdr = struct('cmsghdr', { length: u64, level: u32, type: u32 });
/** poll.h */
export const pollfd = struct('pollfd', { fd: u32, events: u16, revents: u16 });

/** More than a client may send at once: what does not fit is dropped by the kernel (MSG_CTRUNC), not leaked. */
const mostFds = 64;
const control = Buffer.alloc(cmsghdr.size + mostFds * 4);
const vector = Buffer.alloc(iovec.size);
const message = Buffer.alloc(msghdr.size);

export function listen(path: string): number {
  const fd = unixSocket(path);
  const address = socketAddress(path);
  checked('bind', path, bind(fd, address, address.length));
  checked('listen', path, listenOn(fd, 4));
  return fd;
}

export function connect(path: string): number {
  const fd = unixSocket(path);
  const address = socketAddress(path);
  checked('connect', path, connectTo(fd, address, address.length));
  return fd;
}

/** Undefined when the client is gone again. */
export function accept(listener: number): number | undefined {
  const fd = Number(accept4(listener, null, null, SOCK_NONBLOCK_CLOEXEC));
  return fd < 0 ? undefined : fd;
}

export type Received = { readonly bytes: number; readonly fds: readonly number[] } | 'nothing yet' | 'end';

/** Up to `length` bytes into `into` at `at`; the file descriptors belong to the message of which these bytes are a part. */
export function receive(fd: number, into: Buffer, at: number, length: number): Received {
  iovec.write(vector, 0, { base: koffi.address(into) + BigInt(at), length: BigInt(length) });
  describeMessage(BigInt(control.length));
  const bytes = Number(recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (bytes < 0) return koffi.errno() === EAGAIN ? 'nothing yet' : 'end';
  if (bytes === 0) return 'end';
  return { bytes, fds: receivedFds(Number(msghdr.read(message).controlLength)) };
}

/** True when the socket took all of it at once. */
export function send(fd: number, bytes: Buffer, fds: readonly number[] = []): boolean {
  iovec.write(vector, 0, { base: koffi.address(bytes), length: BigInt(bytes.length) });
  const length = cmsghdr.size + fds.length * 4;
  if (fds.length > 0) {
    cmsghdr.write(control, 0, { length: BigInt(length), level: SOL_SOCKET, type: SCM_RIGHTS });
    for (const [index, one] of fds.entries()) control.writeInt32LE(one, cmsghdr.size + index * 4);
  }
  describeMessage(fds.length > 0 ? BigInt(Math.ceil(length / 8) * 8) : 0n);
  return Number(sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL)) === bytes.length;
}

function describeMessage(controlLength: bigint): void {
  msghdr.write(message, 0, {
    iov: koffi.address(vector),
    iovLength: 1n,
    control: koffi.address(control),
    controlLength,
    flags: 0,
  });
}

function receivedFds(controlLength: number): number[] {
  const fds: number[] = [];
  for (let at = 0; at + cmsghdr.size <= controlLength;) {
    const { length, level, type } = cmsghdr.read(control, at);
    if (length < cmsghdr.size) break;
    const end = Math.min(at + Number(length), controlLength);
    if (level === SOL_SOCKET && type === SCM_RIGHTS) {
      for (let data = at + cmsghdr.size; data + 4 <= end; data += 4) fds.push(control.readInt32LE(data));
    }
    at = Math.ceil(end / 8) * 8;
  }
  return fds;
}

/** poll(2) on a set of pollfd; waits as long as told and no longer. A signal ends the wait early: nothing is ready then. */
export function poll(set: Buffer, milliseconds: number): number {
  return Math.max(0, Number(pollFor(set, set.length / pollfd.size, milliseconds)));
}

/** The first `length` bytes of the file, shared; they stay mapped until `release`, after which nobody may touch the buffer. */
export function mapShared(fd: number, length: number): { bytes: Buffer; release: () => void } {
  const address = mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, 0) as bigint;
  if (address === 0xffff_ffff_ffff_ffffn) throw failed('mmap', `guest memory of ${length} bytes`);
  return { bytes: Buffer.from(koffi.view(address, length)), release: () => void munmap(address, length) };
}

function unixSocket(path: string): number {
  return checked('socket', path, socket(AF_UNIX, SOCK_STREAM_NONBLOCK_CLOEXEC, 0));
}

function socketAddress(path: string): Buffer {
  const address = Buffer.alloc(2 + longestSocketPath + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2);
  return address;
}

function checked(call: string, about: string, result: unknown): number {
  if (Number(result) < 0) throw failed(call, about);
  return Number(result);
}

function failed(call: string, about: string): Error {
  return serverError('SYSTEM_CALL', { call, errno: koffi.errno(), about });
}

export function closeAll(fds: Iterable<number>): void {
  for (const fd of fds) closeSync(fd);
}
