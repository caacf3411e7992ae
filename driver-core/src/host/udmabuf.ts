// A DMABUF over ordinary memory (/dev/udmabuf), for registrations that need no GPU.
import { closeSync, ftruncateSync, openSync } from 'node:fs';

import { struct, u32, u64 } from '../verbs/struct.ts';
import { toErrno } from './files.ts';
import type { Answer, Dmabuf } from './host.ts';
import { Errno, refused } from './host.ts';
import type { Native } from './native.ts';

/** include/uapi/linux/udmabuf.h. */
const udmabuf_create = struct('udmabuf_create', { memfd: u32, flags: u32, offset: u64, size: u64 });
const UDMABUF_CREATE = 0x40187542;
const UDMABUF_FLAGS_CLOEXEC = 1;
/** include/uapi/linux/memfd.h and fcntl.h: udmabuf takes only memory that cannot shrink. */
const MFD_CLOEXEC_ALLOW_SEALING = 3;
const F_ADD_SEALS = 1033;
const F_SEAL_SHRINK = 2;

/** ENODEV where the kernel has no udmabuf or does not let us. */
export function createUdmabuf(native: Native, devRoot: string, bytes: number): Answer<Dmabuf> {
  const opened: number[] = [];
  try {
    const device = openSync(`${devRoot}/udmabuf`, 'r+');
    opened.push(device);
    const memfd = native.call('memfd_create', 'data-direct', MFD_CLOEXEC_ALLOW_SEALING);
    if (refused(memfd)) return memfd;
    opened.push(memfd);
    ftruncateSync(memfd, bytes);
    const sealed = native.call('fcntl', memfd, F_ADD_SEALS, F_SEAL_SHRINK);
    if (refused(sealed)) return sealed;
    const request = udmabuf_create.encode({ memfd, flags: UDMABUF_FLAGS_CLOEXEC, size: BigInt(bytes) });
    const fd = native.call('ioctl', device, UDMABUF_CREATE, request);
    return refused(fd) ? fd : { fd, close: async () => closeSync(fd) };
  } catch (error) {
    const { code } = toErrno(error, `${devRoot}/udmabuf`);
    return new Errno('ENODEV', 19, `${devRoot}/udmabuf (${code})`);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
