// Kernel uevents from a netlink socket. One thread of the pool waits in poll for the socket or for the end; there is no timer.
import { closeSync, writeSync } from 'node:fs';

import { struct, u16, u32 } from '../verbs/struct.ts';
import type { Errno, Uevent } from './host.ts';
import { refused } from './host.ts';
import type { Native } from './native.ts';

/** include/uapi/linux/netlink.h. */
const sockaddr_nl = struct('sockaddr_nl', { nl_family: u16, nl_pad: u16, nl_pid: u32, nl_groups: u32 });
/** include/uapi/asm-generic/poll.h. */
const pollfd = struct('pollfd', { fd: u32, events: u16, revents: u16 });

const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const NETLINK_KOBJECT_UEVENT = 15;
/** Group 1 is the kernel; group 2 is udev, which speaks for itself. */
const KERNEL_GROUP = 1;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const POLLIN = 1;
const EFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

/** A reboot of all functions of a node makes some thousand messages of about 300 bytes. */
const RECEIVE_BYTES = 1 << 20;
/** lib/kobject_uevent.c: UEVENT_BUFFER_SIZE is 2048, the header with the path comes on top. */
const MESSAGE_BYTES = 8192;
/** How long one poll waits. It only bounds the wait: both ends of it wake the thread. */
const POLL_MS = 10 * 60_000;

/** The kernel does not let this process listen; `what` is the call. */
export class UeventError extends Error {
  readonly code = 'UEVENTS_REFUSED';
  readonly errno: string;
  constructor({ what, code, number }: Errno) {
    super(`kernel events cannot be listened to: ${what} answered ${code} (${number})`);
    this.name = 'UeventError';
    this.errno = code;
  }
}

/** Listens from the first request for an element on; the kernel keeps what comes while nobody asks. Ends when the signal aborts. */
export async function* uevents(native: Native, signal: AbortSignal): AsyncGenerator<Uevent> {
  const socket = openSocket(native);
  const end = must(native.call('eventfd', 0, EFD_NONBLOCK_CLOEXEC));
  const wake = (): void => void writeSync(end, new BigUint64Array([1n]));
  signal.addEventListener('abort', wake);
  try {
    while (!signal.aborted) {
      yield* receive(native, socket);
      if (!signal.aborted) await waitFor(native, [socket, end]);
    }
  } finally {
    signal.removeEventListener('abort', wake);
    closeSync(socket);
    closeSync(end);
  }
}

function openSocket(native: Native): number {
  const socket = must(native.call('socket', AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  const size = Buffer.alloc(4);
  size.writeInt32LE(RECEIVE_BYTES);
  // Without CAP_NET_ADMIN the buffer stays as it is: a gap is then likelier, and is told.
  native.call('setsockopt', socket, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length);
  const address = sockaddr_nl.encode({ nl_family: AF_NETLINK, nl_groups: KERNEL_GROUP });
  must(native.call('bind', socket, address, address.length));
  return socket;
}

/** Everything that waits now. */
function* receive(native: Native, socket: number): Generator<Uevent> {
  const buffer = Buffer.alloc(MESSAGE_BYTES);
  const from = Buffer.alloc(sockaddr_nl.size);
  for (;;) {
    const fromLength = Buffer.alloc(4);
    fromLength.writeUInt32LE(from.length);
    const length = native.call('recvfrom', socket, buffer, buffer.length, 0, from, fromLength);
    if (refused(length)) {
      if (length.code === 'EAGAIN') return;
      if (length.code !== 'EINTR' && length.code !== 'ENOBUFS') throw new UeventError(length);
      if (length.code === 'ENOBUFS') yield { kind: 'gap' };
      continue;
    }
    // Only the kernel has port id 0; another process could send to the group if it may.
    const event = sockaddr_nl.read(from).nl_pid === 0 ? parseUevent(buffer.subarray(0, length)) : undefined;
    if (event) yield event;
  }
}

async function waitFor(native: Native, files: readonly number[]): Promise<void> {
  const fds = Buffer.concat(files.map((fd) => pollfd.encode({ fd, events: POLLIN })));
  await native.callOnThread('poll', fds, files.length, POLL_MS);
}

/** lib/kobject_uevent.c: "action@devpath", then KEY=value, each with its NUL. */
export function parseUevent(message: Buffer): Uevent | undefined {
  const [header = '', ...pairs] = message.toString('utf8').split('\0');
  const [, action, devpath] = /^([a-z]+)@(.*)$/s.exec(header) ?? [];
  if (action === undefined || devpath === undefined) return undefined;
  const env = Object.fromEntries(
    pairs.flatMap((pair) => {
      const at = pair.indexOf('=');
      return at > 0 ? [[pair.slice(0, at), pair.slice(at + 1)]] : [];
    }),
  );
  return { kind: 'event', action, devpath, env };
}

function must(answer: ReturnType<Native['call']>): number {
  if (refused(answer)) throw new UeventError(answer);
  return answer;
}
