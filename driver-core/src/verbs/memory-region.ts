// Memory regions over DMABUFs by way of the DMA function: register, the probe that needs no buffer, destroy.
import type { Answer, Device } from '../host/host.ts';
import { refused } from '../host/host.ts';
import * as abi from './abi.ts';
import type { ProtectionDomain } from './context.ts';
import { malformed, Refusal } from './errors.ts';
import type { Attribute, Method } from './request.ts';
import { call, handle, input32, input64, newHandle, output } from './request.ts';

const REG_DMABUF_MR: Method = { object: abi.UVERBS_OBJECT_MR, method: abi.UVERBS_METHOD_REG_DMABUF_MR };
const MR_DESTROY: Method = { object: abi.UVERBS_OBJECT_MR, method: abi.UVERBS_METHOD_MR_DESTROY };

const ACCESS = abi.IB_UVERBS_ACCESS_LOCAL_WRITE | abi.IB_UVERBS_ACCESS_REMOTE_WRITE | abi.IB_UVERBS_ACCESS_REMOTE_READ;

/** No file has this descriptor. */
const NO_FILE = -1;

export class MemoryRegion {
  readonly device: Device;
  readonly handle: number;
  readonly lkey: number;
  readonly rkey: number;

  constructor(device: Device, mrHandle: number, lkey: number, rkey: number) {
    this.device = device;
    this.handle = mrHandle;
    this.lkey = lkey;
    this.rkey = rkey;
  }

  /** Succeeds also after the kernel revoked the region because its DMA function was unbound. */
  async deregister(): Promise<Answer<0>> {
    const answer = await call(this.device, MR_DESTROY, [handle(abi.UVERBS_ATTR_DESTROY_MR_HANDLE, this.handle)]);
    return refused(answer) ? answer : 0;
  }
}

/** Registers the first `length` bytes of a DMABUF for data direct. The address is 0: data direct wants it aligned to the system page. */
export async function registerDmabuf(
  pd: ProtectionDomain,
  fd: number,
  length: number,
): Promise<MemoryRegion | Refusal> {
  const { attributes, lkey, rkey } = request(pd, fd, length);
  const answer = await call(pd.device, REG_DMABUF_MR, attributes);
  if (refused(answer)) return new Refusal('REG_DMABUF_MR', answer);
  const made = answer(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE);
  return new MemoryRegion(pd.device, made, lkey.readUInt32LE(), rkey.readUInt32LE());
}

/**
 * Whether a registration would reach the DMA function, asked without any buffer: the kernel looks the descriptor up only after it found
 * the DMA function (hw/mlx5/mr.c, reg_user_mr_dmabuf_by_data_direct), so EBADF is the good answer. It proves neither the firmware's
 * crossing_vhca_mkey capability nor that a GPU's buffer can be attached.
 */
export async function probe(pd: ProtectionDomain, pageSize: number): Promise<'ready' | Refusal> {
  const answer = await call(pd.device, REG_DMABUF_MR, request(pd, NO_FILE, pageSize).attributes);
  if (!refused(answer)) return malformed('REG_DMABUF_MR probe', 'a memory region over a file that does not exist');
  return answer.code === 'EBADF' ? 'ready' : new Refusal('REG_DMABUF_MR probe', answer);
}

function request(pd: ProtectionDomain, fd: number, length: number) {
  const lkey = Buffer.alloc(4);
  const rkey = Buffer.alloc(4);
  const attributes: Attribute[] = [
    newHandle(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE),
    handle(abi.UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, pd.handle),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_OFFSET, 0n),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_LENGTH, BigInt(length)),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_IOVA, 0n),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_FD, fd),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, ACCESS),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, lkey),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, rkey),
    // A kernel that does not know data direct refuses this one; were it optional, it would make an ordinary region.
    input32(abi.MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, abi.MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT),
  ];
  return { attributes, lkey, rkey };
}
