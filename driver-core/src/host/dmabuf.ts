// A DMABUF over ordinary memory, for registrations that need no GPU: of /dev/udmabuf, or of the system's dma-heap where that is not to be had.
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

/** include/uapi/linux/dma-heap.h: _IOWR('H', 0, struct dma_heap_allocation_data). The kernel writes `fd`. */
const dma_heap_allocation_data = struct('dma_heap_allocation_data', {
  len: u64,
  fd: u32,
  fd_flags: u32,
  heap_flags: u64,
});
const DMA_HEAP_IOCTL_ALLOC = 0xc0184800;
const O_RDWR_CLOEXEC = 2 | 0o2000000;

interface Source {
  readonly node: string;
  readonly allocate: (native: Native, device: number, bytes: number) => Answer<number>;
}

/** The first that can be opened. */
const SOURCES: readonly Source[] = [
  { node: 'udmabuf', allocate: udmabuf },
  { node: 'dma_heap/system', allocate: dmaHeap },
];

/** ENODEV where neither is there, or neither lets us. */
export function createDmabuf(native: Native, devRoot: string, bytes: number): Answer<Dmabuf> {
  const failures: string[] = [];
  for (const { node, allocate } of SOURCES) {
    const device = opened(`${devRoot}/${node}`);
    if (!refused(device)) {
      const fd = closing(device, () => allocate(native, device, bytes));
      return refused(fd) ? fd : { fd, close: async () => closeSync(fd) };
    }
    failures.push(`${device.what} (${device.code})`);
  }
  return new Errno('ENODEV', 19, failures.join(', '));
}

function opened(path: string): Answer<number> {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    return toErrno(error, path);
  }
}

function udmabuf(native: Native, device: number, bytes: number): Answer<number> {
  const memory = native.call('memfd_create', 'data-direct', MFD_CLOEXEC_ALLOW_SEALING);
  if (refused(memory)) return memory;
  return closing(memory, () => {
    ftruncateSync(memory, bytes);
    const sealed = native.call('fcntl', memory, F_ADD_SEALS, F_SEAL_SHRINK);
    if (refused(sealed)) return sealed;
    const request = udmabuf_create.encode({ memfd: memory, flags: UDMABUF_FLAGS_CLOEXEC, size: BigInt(bytes) });
    return native.call('ioctl', device, UDMABUF_CREATE, request);
  });
}

function dmaHeap(native: Native, device: number, bytes: number): Answer<number> {
  const request = dma_heap_allocation_data.encode({ len: BigInt(bytes), fd_flags: O_RDWR_CLOEXEC });
  const answer = native.call('ioctl', device, DMA_HEAP_IOCTL_ALLOC, request);
  return refused(answer) ? answer : dma_heap_allocation_data.read(request).fd;
}

function closing<T>(fd: number, use: () => T): T {
  try {
    return use();
  } finally {
    closeSync(fd);
  }
}
