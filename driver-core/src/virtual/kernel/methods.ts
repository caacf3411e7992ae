// The methods of the uverbs core that we have: attributes as tables, and what each does before and after it asks the driver.
// drivers/infiniband/core/uverbs_std_types_{device,pd,mr}.c and uverbs_cmd.c. Objects and methods that are missing here answer as a kernel
// that does not know them.
import {
  ib_uverbs_alloc_pd,
  ib_uverbs_alloc_pd_resp,
  IB_USER_VERBS_CMD_ALLOC_PD,
  IB_UVERBS_ACCESS_LOCAL_WRITE,
  IB_UVERBS_ACCESS_RELAXED_ORDERING,
  IB_UVERBS_ACCESS_REMOTE_ATOMIC,
  IB_UVERBS_ACCESS_REMOTE_READ,
  IB_UVERBS_ACCESS_REMOTE_WRITE,
  UVERBS_ATTR_CORE_IN,
  UVERBS_ATTR_CORE_OUT,
  UVERBS_ATTR_DESTROY_MR_HANDLE,
  UVERBS_ATTR_DESTROY_PD_HANDLE,
  UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT,
  UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS,
  UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS,
  UVERBS_ATTR_REG_DMABUF_MR_FD,
  UVERBS_ATTR_REG_DMABUF_MR_HANDLE,
  UVERBS_ATTR_REG_DMABUF_MR_IOVA,
  UVERBS_ATTR_REG_DMABUF_MR_LENGTH,
  UVERBS_ATTR_REG_DMABUF_MR_OFFSET,
  UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE,
  UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY,
  UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY,
  UVERBS_ATTR_UHW_IN,
  UVERBS_ATTR_UHW_OUT,
  UVERBS_ATTR_WRITE_CMD,
  UVERBS_METHOD_GET_CONTEXT,
  UVERBS_METHOD_INVOKE_WRITE,
  UVERBS_METHOD_MR_DESTROY,
  UVERBS_METHOD_PD_DESTROY,
  UVERBS_METHOD_REG_DMABUF_MR,
  UVERBS_OBJECT_DEVICE,
  UVERBS_OBJECT_MR,
  UVERBS_OBJECT_PD,
} from '../../verbs/abi.ts';
import { fail } from './fault.ts';
import type { AttributeSpec, Call, Method, MethodTable } from './uverbs.ts';

/** A protection domain, in use by so many regions. */
interface Pd {
  users: number;
}

export interface MemoryRegion {
  readonly lkey: number;
  readonly rkey: number;
  readonly length: bigint;
  readonly access: number;
  /** Goes through the DMA function. */
  readonly dataDirect: boolean;
  /** The kernel is done with it. */
  destroy(): void;
}

export interface Registration {
  readonly offset: bigint;
  readonly length: bigint;
  readonly iova: bigint;
  readonly fd: number;
  readonly access: number;
}

/** struct ib_device_ops as far as these methods use it; each may throw a Fault. */
export interface DriverOps {
  readonly completionVectors: number;
  /** What it keeps for the context. */
  allocContext(call: Call): object;
  allocPd(call: Call): void;
  /** Undefined: the driver cannot register DMABUFs. */
  readonly registerDmabuf: ((call: Call, registration: Registration) => MemoryRegion) | undefined;
  /** What the driver adds: attributes of REG_DMABUF_MR, and methods of its own on the device object. */
  readonly dmabufAttributes: readonly [number, AttributeSpec][];
  readonly deviceMethods: readonly [number, Method][];
  /** Objects of its own. */
  readonly objects: readonly [number, ReadonlyMap<number, Method>][];
}

const sized = (kind: 'in' | 'out', bytes: number, mandatory: boolean): AttributeSpec => ({
  kind,
  least: bytes,
  most: bytes,
  mandatory,
});
const atLeast = (kind: 'in' | 'out', bytes: number, mandatory: boolean): AttributeSpec => ({
  kind,
  least: bytes,
  most: 0xffff,
  mandatory,
});
/** UVERBS_ATTR_FLAGS_IN: four or eight bytes, anything longer must be zero there. */
export const flagsAttribute = (mandatory: boolean): AttributeSpec => ({
  kind: 'in',
  least: 4,
  most: 8,
  zeroTrailing: true,
  mandatory,
});
const handle = (object: number, access: 'new' | 'read' | 'destroy'): AttributeSpec => ({
  kind: 'handle',
  object,
  access,
  mandatory: true,
});
const driverData: readonly [number, AttributeSpec][] = [
  [UVERBS_ATTR_UHW_IN, atLeast('in', 0, false)],
  [UVERBS_ATTR_UHW_OUT, atLeast('out', 0, false)],
];

const ACCESS =
  IB_UVERBS_ACCESS_LOCAL_WRITE |
  IB_UVERBS_ACCESS_REMOTE_WRITE |
  IB_UVERBS_ACCESS_REMOTE_READ |
  IB_UVERBS_ACCESS_REMOTE_ATOMIC |
  IB_UVERBS_ACCESS_RELAXED_ORDERING;
const NEEDS_LOCAL_WRITE = IB_UVERBS_ACCESS_REMOTE_WRITE | IB_UVERBS_ACCESS_REMOTE_ATOMIC;
/** IB_UVERBS_CORE_SUPPORT_OPTIONAL_MR_ACCESS (include/uapi/rdma/ib_user_ioctl_verbs.h). */
const CORE_SUPPORT = 1n;

export function methodTable(driver: DriverOps): MethodTable {
  return new Map([
    [
      UVERBS_OBJECT_DEVICE,
      new Map([
        [UVERBS_METHOD_INVOKE_WRITE, invokeWrite(driver)],
        [UVERBS_METHOD_GET_CONTEXT, getContext(driver)],
        ...driver.deviceMethods,
      ]),
    ],
    [
      UVERBS_OBJECT_PD,
      new Map([[UVERBS_METHOD_PD_DESTROY, destroy('destroy-pd', UVERBS_OBJECT_PD, UVERBS_ATTR_DESTROY_PD_HANDLE)]]),
    ],
    [
      UVERBS_OBJECT_MR,
      new Map([
        [UVERBS_METHOD_MR_DESTROY, destroy('destroy-mr', UVERBS_OBJECT_MR, UVERBS_ATTR_DESTROY_MR_HANDLE)],
        [UVERBS_METHOD_REG_DMABUF_MR, registerDmabuf(driver)],
      ]),
    ],
    ...driver.objects,
  ]);
}

function getContext(driver: DriverOps): Method {
  return {
    name: 'get-context',
    ofDriver: false,
    attributes: new Map([
      [UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, sized('out', 4, false)],
      [UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, sized('out', 8, false)],
      ...driverData,
    ]),
    run(call) {
      if (call.file.device.gone) fail('EIO', 'the device was removed');
      call.output(UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, u32(driver.completionVectors));
      call.output(UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, u64(CORE_SUPPORT));
      if (call.file.context !== undefined) fail('EINVAL', 'GET_CONTEXT twice');
      if (!call.file.device.mayCharge()) fail('EAGAIN', 'the RDMA cgroup grants no more contexts');
      call.file.context = driver.allocContext(call);
    },
  };
}

/** The old write() commands through ioctl. Only ALLOC_PD is here; the others answer like commands that a driver does not offer. */
function invokeWrite(driver: DriverOps): Method {
  return {
    name: 'alloc-pd',
    ofDriver: false,
    attributes: new Map([
      [UVERBS_ATTR_CORE_IN, atLeast('in', 4, false)],
      [UVERBS_ATTR_CORE_OUT, atLeast('out', 4, false)],
      [UVERBS_ATTR_WRITE_CMD, sized('in', 8, true)],
      ...driverData,
    ]),
    run(call) {
      const command = call.inputU64(UVERBS_ATTR_WRITE_CMD);
      if (command !== BigInt(IB_USER_VERBS_CMD_ALLOC_PD)) fail('EOPNOTSUPP', `write command ${command}`);
      const room =
        call.length(UVERBS_ATTR_CORE_IN) >= ib_uverbs_alloc_pd.size &&
        call.length(UVERBS_ATTR_CORE_OUT) >= ib_uverbs_alloc_pd_resp.size;
      if (!room) fail('ENOSPC', 'CORE_IN or CORE_OUT');
      const number = call.file.reserveHandle();
      driver.allocPd(call);
      const pd: Pd = { users: 0 };
      call.output(UVERBS_ATTR_CORE_OUT, ib_uverbs_alloc_pd_resp.encode({ pd_handle: number }));
      call.file.putHandle(number, {
        type: UVERBS_OBJECT_PD,
        object: pd,
        destroy: () => {
          if (pd.users > 0) fail('EBUSY', 'PD with memory regions');
        },
      });
    },
  };
}

function registerDmabuf(driver: DriverOps): Method {
  return {
    name: 'register',
    ofDriver: false,
    attributes: new Map([
      [UVERBS_ATTR_REG_DMABUF_MR_HANDLE, handle(UVERBS_OBJECT_MR, 'new')],
      [UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, handle(UVERBS_OBJECT_PD, 'read')],
      [UVERBS_ATTR_REG_DMABUF_MR_OFFSET, sized('in', 8, true)],
      [UVERBS_ATTR_REG_DMABUF_MR_LENGTH, sized('in', 8, true)],
      [UVERBS_ATTR_REG_DMABUF_MR_IOVA, sized('in', 8, true)],
      [UVERBS_ATTR_REG_DMABUF_MR_FD, sized('in', 4, true)],
      [UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, flagsAttribute(true)],
      [UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, sized('out', 4, true)],
      [UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, sized('out', 4, true)],
      ...driver.dmabufAttributes,
    ]),
    run(call) {
      if (driver.registerDmabuf === undefined) fail('EOPNOTSUPP', 'reg_user_mr_dmabuf');
      const region = driver.registerDmabuf(call, requestedRegistration(call));
      const pd = call.file.handle(
        BigInt(call.handleNumber(UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE)),
        UVERBS_OBJECT_PD,
        'read',
      ).object as Pd;
      pd.users += 1;
      call.file.putHandle(call.handleNumber(UVERBS_ATTR_REG_DMABUF_MR_HANDLE), {
        type: UVERBS_OBJECT_MR,
        object: region,
        destroy: () => {
          region.destroy();
          pd.users -= 1;
        },
      });
      call.output(UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, u32(region.lkey));
      call.output(UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, u32(region.rkey));
    },
  };
}

/** The core's own checks, before the driver's. */
function requestedRegistration(call: Call): Registration {
  const offset = call.inputU64(UVERBS_ATTR_REG_DMABUF_MR_OFFSET);
  const length = call.inputU64(UVERBS_ATTR_REG_DMABUF_MR_LENGTH);
  const iova = call.inputU64(UVERBS_ATTR_REG_DMABUF_MR_IOVA);
  if (((offset ^ iova) & BigInt(call.file.pageSize - 1)) !== 0n)
    fail('EINVAL', 'offset and iova differ within the page');
  const fd = call.inputU32(UVERBS_ATTR_REG_DMABUF_MR_FD) | 0;
  const access = call.flags(UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, ACCESS);
  const writesWithoutLocal = (access & NEEDS_LOCAL_WRITE) !== 0 && (access & IB_UVERBS_ACCESS_LOCAL_WRITE) === 0;
  if (writesWithoutLocal) fail('EINVAL', 'remote write or atomic without local write');
  return { offset, length, iova, fd, access };
}

function destroy(name: string, object: number, id: number): Method {
  return {
    name,
    ofDriver: false,
    attributes: new Map([[id, handle(object, 'destroy')]]),
    run: (call) => call.file.dropHandle(call.handleNumber(id)),
  };
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
