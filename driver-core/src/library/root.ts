// Files in the root directory of another process, such as a container's. Symbolic links are followed as that process would follow them,
// and never out of its root: the kernel sees to it (openat2, Linux 5.6), so that nothing can be swapped in between.
import { closeSync, fstatSync, openSync, readFileSync, readlinkSync } from 'node:fs';

import { type Answer, Errno, refused } from '../host/host.ts';
import { loadNative, type Native } from '../host/native.ts';

export interface RootFile {
  /** Behind all links, as the process sees it. */
  readonly path: string;
  readonly bytes: Buffer;
}

/** include/uapi/asm-generic: the number is the same on every architecture, and so is O_PATH. */
const SYS_OPENAT2 = 437;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
/** include/uapi/linux/openat2.h */
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_IN_ROOT = 0x10n;

/** No library that is looked for comes near it. */
const LARGEST_FILE = 64 << 20;

export class Root {
  readonly #native: Native;
  readonly #directory: number;

  private constructor(native: Native, directory: number) {
    this.#native = native;
    this.#directory = directory;
  }

  /** `directory` may be a link such as /proc/PID/root. Throws what the file system says. */
  static async open(directory: string): Promise<Root> {
    const native = loadNative();
    return new Root(native, openSync(directory, O_PATH));
  }

  /** A whole file. Anything else than a regular file is EINVAL and is not even opened: a FIFO would wait, a device would act. */
  read(path: string): Answer<RootFile> {
    const how = Buffer.alloc(24); // flags, mode, resolve
    how.writeBigUInt64LE(BigInt(O_PATH | O_CLOEXEC), 0);
    how.writeBigUInt64LE(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, 16);
    const fd = this.#native.call('syscall', SYS_OPENAT2, this.#directory, path, how, how.length);
    if (refused(fd)) return new Errno(fd.code, fd.number, path);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > LARGEST_FILE) return new Errno('EINVAL', 22, path);
      const opened = `/proc/self/fd/${fd}`;
      return { path: this.#inside(readlinkSync(opened)), bytes: readFileSync(opened) };
    } finally {
      closeSync(fd);
    }
  }

  /** A container's root is a mount of its own, whose files the kernel names from there; a plain chroot's are named from ours. */
  #inside(path: string): string {
    const root = readlinkSync(`/proc/self/fd/${this.#directory}`);
    return root !== '/' && path.startsWith(`${root}/`) ? path.slice(root.length) : path;
  }

  close(): void {
    closeSync(this.#directory);
  }
}
