// The node as driver-core sees it: one narrow door with two implementations, linux.ts (files, koffi) and ../virtual (bytes in memory).
// The door speaks the outside's own terms and turns nothing into advice; advice is for path/assess.ts.

/** What the kernel answered instead of a value. An errno is an ordinary answer, never an exception. */
export class Errno {
  /** `code` is the C name, such as ENOENT; `number` its positive value; `what` the path or call that was refused. */
  readonly code: string;
  readonly number: number;
  readonly what: string;
  constructor(code: string, number: number, what: string) {
    this.code = code;
    this.number = number;
    this.what = what;
  }
}

export type Answer<T> = T | Errno;

export function refused<T>(answer: Answer<T>): answer is Errno {
  return answer instanceof Errno;
}

/** Read-only files under one root. Paths are relative to it, without a leading slash. */
export interface Files {
  /** Names in a directory, sorted. */
  list(path: string): Answer<string[]>;
  /** The target of a symbolic link, as written. */
  link(path: string): Answer<string>;
  /** Tells a file, directory or link (not what it points to) from a later one of the same name: its inode, which sysfs does not use again. */
  identity(path: string): Answer<string>;
  /** The path behind all symbolic links, relative to the root. */
  real(path: string): Answer<string>;
  /** A whole small file. Only for attributes that the kernel answers from memory. */
  read(path: string): Answer<Buffer>;
  /**
   * A whole file whose read may reach the device (VPD, port state, config space) and so may block for minutes.
   * At most one such call is in flight a device (`device` = its PCI address); ETIMEDOUT when it did not end in the host's budget,
   * EBUSY at once while an earlier call of that device is still blocked.
   */
  readSlow(path: string, device: string): Promise<Answer<Buffer>>;
}

/** A pointer inside an ioctl's bytes: at `offset` stands the u64 address of `target`, which the kernel reads or writes. */
export interface Pointer {
  readonly offset: number;
  readonly target: Buffer;
}

/** An open character device. */
export interface Device {
  /**
   * ioctl(fd, request, bytes). The kernel may change `bytes` and every pointer's target in place.
   * 0 or an Errno (ETIMEDOUT and EBUSY as with readSlow); never throws for an errno.
   */
  ioctl(request: number, bytes: Buffer, pointers: readonly Pointer[]): Promise<Answer<0>>;
  close(): Promise<void>;
}

/** One NETLINK_KOBJECT_UEVENT message, or the news that some were lost (ENOBUFS). */
export type Uevent =
  | {
      readonly kind: 'event';
      readonly action: string;
      readonly devpath: string;
      readonly env: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'gap' };

/** Time is a door too: tests own it. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Wall time. */
  date(): Date;
  /** Resolves after `milliseconds`, or at once when the signal aborts. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export interface Host {
  /** `/sys`. */
  readonly sysfs: Files;
  /** `/proc` of the node's first process's namespaces: `net/route`, `net/ipv6_route`. ENOENT where it is not mounted. */
  readonly proc: Files;
  /** `path` is absolute on the node, such as /dev/infiniband/uverbs0; `device` is the PCI address that a blocked call is charged to. */
  openDevice(path: string, device: string): Promise<Answer<Device>>;
  /** Ends when the signal aborts. May lose events: a gap says so. */
  uevents(signal: AbortSignal): AsyncIterable<Uevent>;
  readonly clock: Clock;
  /** Bytes; 4096 or 65536 (Grace). Read from the system, never assumed. */
  readonly pageSize: number;
  /** As uname -r prints it. */
  readonly kernelRelease: string;
  /** A file descriptor of a DMABUF that needs no GPU (udmabuf or dma-heap), for the full registration test; ENODEV where none can be had. */
  dmabuf(bytes: number): Promise<Answer<Dmabuf>>;
  close(): Promise<void>;
}

export interface Dmabuf {
  readonly fd: number;
  close(): Promise<void>;
}
