// DMABUFs of the virtual machine and who may attach to them. The numbers are file descriptors of the virtual process only.
import type { PciFunction } from '../hardware.ts';
import { fail } from './fault.ts';

interface DmabufMemory {
  readonly size: number;
  /** The GPU whose memory it is; undefined for plain memory (udmabuf), which any device may map. */
  readonly gpu: PciFunction | undefined;
}

/** Standard input, output and error are open too, and no DMABUF. */
const ORDINARY_FILES = new Set([0, 1, 2]);
const FIRST_FD = 64;

export class Dmabufs {
  readonly #buffers = new Map<number, DmabufMemory>();
  #next = FIRST_FD;

  create(size: number, gpu?: PciFunction): number {
    const fd = this.#next++;
    this.#buffers.set(fd, { size, gpu });
    return fd;
  }

  close(fd: number): void {
    this.#buffers.delete(fd);
  }

  /** ib_umem_dmabuf_get and the exporter's attach (drivers/infiniband/core/umem_dmabuf.c), for the function that will do the DMA. */
  attach(fd: number, offset: bigint, length: bigint, dma: PciFunction): void {
    const end = offset + length;
    if (end >= 1n << 64n) fail('EINVAL', 'offset + length overflows');
    const buffer = this.#buffers.get(fd);
    if (buffer === undefined) fail(ORDINARY_FILES.has(fd) ? 'EINVAL' : 'EBADF', `dma_buf_get(${fd})`);
    if (end > BigInt(buffer.size) || length === 0n) fail('EINVAL', 'length of the DMABUF');
    if (buffer.gpu !== undefined && !mayReach(buffer.gpu, dma))
      fail('ENOTSUPP', `attach of ${dma.address} to ${buffer.gpu.address}`);
  }
}

/** nvidia.ko (kernel-open/nvidia/nv-dmabuf.c) compares the iommu groups of GPU and peer; none and none counts as equal. */
function mayReach(gpu: PciFunction, dma: PciFunction): boolean {
  return gpu.present && gpu.iommuGroup === dma.iommuGroup;
}
