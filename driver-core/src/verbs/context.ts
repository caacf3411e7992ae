// A verbs context on one NIC: open, GET_CONTEXT, ask for the DMA function, protection domains. Memory is in memory-region.ts.
import type { Answer, Device, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import * as abi from './abi.ts';
import { malformed, Refusal } from './errors.ts';
import type { Method } from './request.ts';
import { call, handle, input, input64, output } from './request.ts';

const GET_CONTEXT: Method = { object: abi.UVERBS_OBJECT_DEVICE, method: abi.UVERBS_METHOD_GET_CONTEXT };
const INVOKE_WRITE: Method = { object: abi.UVERBS_OBJECT_DEVICE, method: abi.UVERBS_METHOD_INVOKE_WRITE };
const PD_DESTROY: Method = { object: abi.UVERBS_OBJECT_PD, method: abi.UVERBS_METHOD_PD_DESTROY };
const GET_DATA_DIRECT_SYSFS_PATH: Method = {
  object: abi.UVERBS_OBJECT_DEVICE,
  method: abi.MLX5_IB_METHOD_GET_DATA_DIRECT_SYSFS_PATH,
};

/** The least that mlx5_ib accepts: with dynamic UARs it asks for no doorbell pages, so there is nothing to mmap (hw/mlx5/main.c). */
const MINIMAL_CONTEXT = {
  max_cqe_version: 1,
  lib_caps: abi.MLX5_LIB_CAP_4K_UAR | abi.MLX5_LIB_CAP_DYN_UAR,
};

/** One per file descriptor; closing it frees everything made through it. */
export class Context {
  readonly device: Device;
  readonly #pageSize: number;

  private constructor(device: Device, pageSize: number) {
    this.device = device;
    this.#pageSize = pageSize;
  }

  /**
   * `uverbs` such as uverbs0; `nic` is the PCI address that a blocked call is charged to. With `devx` firmware commands can be sent through it,
   * for which the firmware has to make a user context.
   */
  static async open(host: Host, uverbs: string, nic: string, { devx = false } = {}): Promise<Context | Refusal> {
    const asked = devx ? { ...MINIMAL_CONTEXT, flags: abi.MLX5_IB_ALLOC_UCTX_DEVX } : MINIMAL_CONTEXT;
    const device = await host.openDevice(`/dev/infiniband/${uverbs}`, nic);
    if (refused(device)) return new Refusal('open', device);
    const answer = await call(device, GET_CONTEXT, [
      output(abi.UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, Buffer.alloc(4)),
      output(abi.UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, Buffer.alloc(8)),
      input(abi.UVERBS_ATTR_UHW_IN, abi.mlx5_ib_alloc_ucontext_req_v2.encode(asked)),
      output(abi.UVERBS_ATTR_UHW_OUT, Buffer.alloc(abi.mlx5_ib_alloc_ucontext_resp.size)),
    ]);
    if (!refused(answer)) return new Context(device, host.pageSize);
    await device.close();
    return new Refusal(devx ? 'GET_CONTEXT with DEVX' : 'GET_CONTEXT', answer);
  }

  /**
   * Which DMA function the kernel has paired with this NIC: its path below the sysfs root. ENODEV: none.
   * The buffer always has PATH_MAX bytes: a shorter one is answered ENOSPC, and kernels before 9b9d25390850 leak memory then.
   */
  async dataDirectSysfsPath(): Promise<string | Refusal> {
    const buffer = Buffer.alloc(abi.PATH_MAX);
    const answer = await call(this.device, GET_DATA_DIRECT_SYSFS_PATH, [
      output(abi.MLX5_IB_ATTR_GET_DATA_DIRECT_SYSFS_PATH, buffer),
    ]);
    if (refused(answer)) return new Refusal('GET_DATA_DIRECT_SYSFS_PATH', answer);
    const end = buffer.indexOf(0);
    return end > 0
      ? buffer.toString('utf8', 0, end)
      : malformed('GET_DATA_DIRECT_SYSFS_PATH', 'an answer without text or without its final NUL');
  }

  async allocPd(): Promise<ProtectionDomain | Refusal> {
    const response = Buffer.alloc(abi.ib_uverbs_alloc_pd_resp.size);
    const answer = await call(this.device, INVOKE_WRITE, [
      input64(abi.UVERBS_ATTR_WRITE_CMD, BigInt(abi.IB_USER_VERBS_CMD_ALLOC_PD)),
      input(abi.UVERBS_ATTR_CORE_IN, abi.ib_uverbs_alloc_pd.encode({})),
      output(abi.UVERBS_ATTR_CORE_OUT, response),
      output(abi.UVERBS_ATTR_UHW_OUT, Buffer.alloc(abi.mlx5_ib_alloc_pd_resp.size)),
    ]);
    if (refused(answer)) return new Refusal('ALLOC_PD', answer);
    return new ProtectionDomain(this.device, abi.ib_uverbs_alloc_pd_resp.read(response).pd_handle, this.#pageSize);
  }

  async close(): Promise<void> {
    await this.device.close();
  }
}

export class ProtectionDomain {
  readonly device: Device;
  readonly handle: number;
  /** Of the system, which registrations have to keep to. */
  readonly pageSize: number;

  constructor(device: Device, pdHandle: number, pageSize: number) {
    this.device = device;
    this.handle = pdHandle;
    this.pageSize = pageSize;
  }

  /** EBUSY while it has memory regions. */
  async destroy(): Promise<Answer<0>> {
    const answer = await call(this.device, PD_DESTROY, [handle(abi.UVERBS_ATTR_DESTROY_PD_HANDLE, this.handle)]);
    return refused(answer) ? answer : 0;
  }
}
