// Memory regions over DMABUFs by way of the DMA function: register, the probe that needs no buffer, destroy.
import type { Answer, Device } from '../host/host.ts';
import { refused } from '../host/host.ts';
import * as abi from './abi.ts';
import type { ProtectionDomain } from './context.ts';
import { malformed, Refusal } from './errors.ts';
import type { Attribute, Method } from './request.ts';
import type { Registration, Wanted } from './registration.ts';
import { checked } from './registration.ts';
import { call, handle, input32, input64, newHandle, output } from './request.ts';

const REG_DMABUF_MR: Method = { object: abi.UVERBS_OBJECT_MR, method: abi.UVERBS_METHOD_REG_DMABUF_MR };
const MR_DESTROY: Method = { object: abi.UVERBS_OBJECT_MR, method: abi.UVERBS_METHOD_MR_DESTROY };

const { IB_UVERBS_ACCESS_LOCAL_WRITE: LOCAL_WRITE } = abi;

/** No file has this descriptor. */
const NO_FILE = -1;

/**
 * A registered range of a DMABUF. Its keys are good until it is deregistered or the kernel revokes it, which it does when the DMA function
 * loses its driver (hw/mlx5/main.c, mlx5_ib_data_direct_unbind). Binding the function again does not revive it: register anew. There is no
 * rereg, which the kernel refuses for these regions (EOPNOTSUPP).
 */
export class MemoryRegion {
  readonly handle: number;
  readonly lkey: number;
  readonly rkey: number;
  /** Bytes. */
  readonly length: bigint;
  /** The address that goes with the keys. */
  readonly iova: bigint;
  readonly #device: Device;
  readonly #revoked = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #deregistered = false;

  constructor(device: Device, made: Pick<MemoryRegion, 'handle' | 'lkey' | 'rkey' | 'length' | 'iova'>) {
    this.#device = device;
    this.handle = made.handle;
    this.lkey = made.lkey;
    this.rkey = made.rkey;
    this.length = made.length;
    this.iova = made.iova;
  }

  get state(): 'live' | 'revoked' | 'deregistered' {
    if (this.#deregistered) return 'deregistered';
    return this.revoked.aborted ? 'revoked' : 'live';
  }

  /** Aborted once it is known that the keys are dead; its reason says why. The kernel tells nobody: somebody has to look (binding/). */
  get revoked(): AbortSignal {
    return this.#revoked.signal;
  }

  /** Resolves once it is deregistered. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** For whoever has seen that the kernel revoked it. A region that was deregistered before is nobody's concern. */
  revoke(reason: Error): void {
    if (!this.#deregistered) this.#revoked.abort(reason);
  }

  /** Frees it, also when it was revoked. A second call does nothing. */
  async deregister(): Promise<Answer<0>> {
    if (this.#deregistered) return 0;
    const answer = await call(this.#device, MR_DESTROY, [handle(abi.UVERBS_ATTR_DESTROY_MR_HANDLE, this.handle)]);
    if (refused(answer)) return answer;
    this.#deregistered = true;
    this.#ended.resolve();
    return 0;
  }
}

/** Throws a RegistrationError for what cannot succeed; what the kernel refuses is the answer. */
export async function registerDmabuf(pd: ProtectionDomain, asked: Registration): Promise<MemoryRegion | Refusal> {
  const wanted = checked(asked, pd.pageSize);
  const { attributes, lkey, rkey } = request(pd, wanted);
  const answer = await call(pd.device, REG_DMABUF_MR, attributes);
  if (refused(answer)) return new Refusal('REG_DMABUF_MR', answer);
  return new MemoryRegion(pd.device, {
    handle: answer(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE),
    lkey: lkey.readUInt32LE(),
    rkey: rkey.readUInt32LE(),
    length: wanted.length,
    iova: wanted.iova,
  });
}

/**
 * Whether a registration would reach the DMA function, asked without any buffer: the kernel looks the descriptor up only after it found
 * the DMA function (hw/mlx5/mr.c, reg_user_mr_dmabuf_by_data_direct), so EBADF is the good answer. It proves neither the firmware's
 * crossing_vhca_mkey capability nor that a GPU's buffer can be attached.
 */
export async function probe(pd: ProtectionDomain): Promise<'ready' | Refusal> {
  const onePage = { fd: NO_FILE, length: BigInt(pd.pageSize), offset: 0n, iova: 0n, access: LOCAL_WRITE };
  const answer = await call(pd.device, REG_DMABUF_MR, request(pd, onePage).attributes);
  if (!refused(answer)) return malformed('REG_DMABUF_MR probe', 'a memory region over a file that does not exist');
  return answer.code === 'EBADF' ? 'ready' : new Refusal('REG_DMABUF_MR probe', answer);
}

function request(pd: ProtectionDomain, { fd, length, offset, iova, access }: Wanted) {
  const lkey = Buffer.alloc(4);
  const rkey = Buffer.alloc(4);
  const attributes: Attribute[] = [
    newHandle(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE),
    handle(abi.UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, pd.handle),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_OFFSET, offset),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_LENGTH, length),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_IOVA, iova),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_FD, fd),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, access),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, lkey),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, rkey),
    // A kernel that does not know data direct refuses this one; were it optional, it would make an ordinary region.
    input32(abi.MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, abi.MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT),
  ];
  return { attributes, lkey, rkey };
}
