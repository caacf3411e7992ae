// mlx5_ib's share of the uverbs methods: contexts, PDs, the data direct path and registrations, in the driver's own order of checks.
// drivers/infiniband/hw/mlx5/{main.c,std_types.c,mr.c}.
import {
  IB_UVERBS_ACCESS_RELAXED_ORDERING,
  MLX5_IB_ALLOC_UCTX_DEVX,
  MLX5_IB_ATTR_GET_DATA_DIRECT_SYSFS_PATH,
  MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS,
  MLX5_IB_METHOD_GET_DATA_DIRECT_SYSFS_PATH,
  MLX5_IB_OBJECT_DEVX,
  MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT,
  mlx5_ib_alloc_pd_resp,
  mlx5_ib_alloc_ucontext_req_v2,
  mlx5_ib_alloc_ucontext_resp,
  MLX5_LIB_CAP_4K_UAR,
  MLX5_LIB_CAP_DYN_UAR,
  UVERBS_ATTR_UHW_IN,
  UVERBS_ATTR_UHW_OUT,
} from '../../verbs/abi.ts';
import type { PciFunction } from '../hardware.ts';
import type { DataDirect } from './data-direct.ts';
import type { Dmabufs } from './dmabuf.ts';
import type { Mlx5Context } from './devx.ts';
import { devxMethods, FIRST_UID } from './devx.ts';
import { fail } from './fault.ts';
import { flagsAttribute } from './methods.ts';
import type { DriverOps, MemoryRegion, Registration } from './methods.ts';
import type { Mkeys } from './mkeys.ts';
import type { Call, Method } from './uverbs.ts';

export interface Mlx5Device {
  readonly nic: PciFunction;
  readonly dataDirect: DataDirect;
  readonly dmabufs: Dmabufs;
  readonly mkeys: Mkeys;
  readonly pageSize: number;
  /** The driver has the data direct series (Linux 6.12, or a vendor kernel). */
  readonly dataDirectSeries: boolean;
  /** CONFIG_INFINIBAND_ON_DEMAND_PAGING. */
  readonly onDemandPaging: boolean;
  /** The driver makes a second data direct mkey, for relaxed ordering; without it that is dropped from every data direct region. */
  readonly relaxedOrderingMkey: boolean;
}

/** What a Grace tray shows: one vector a core, up to the device's limit. */
const COMPLETION_VECTORS = 63;
/** Smallest second version of the context request: up to max_cqe_version. The first version ends after two words. */
const REQUEST_V1 = 8;
const REQUEST_V2 = mlx5_ib_alloc_ucontext_req_v2.offsets.max_cqe_version;
/** MLX5_NON_FP_BFREGS_PER_UAR and MLX5_MAX_BFREGS (drivers/infiniband/hw/mlx5, include/linux/mlx5/device.h). */
const BFREGS_PER_UAR = 2;
const MAX_BFREGS = 512;
/** drivers/infiniband/hw/mlx5/umr.h. */
const MAX_UMR_PAGES = 1 << 16;

export function mlx5Ops(device: Mlx5Device): DriverOps {
  let protectionDomains = 0;
  let userContexts = FIRST_UID;
  const nextUid = (): number => userContexts++ & 0xffff;

  return {
    completionVectors: COMPLETION_VECTORS,
    allocContext: (call) => ({ uid: allocContext(device, call) ? nextUid() : 0 }) satisfies Mlx5Context,
    allocPd(call) {
      protectionDomains += 1;
      call.driverOutput(mlx5_ib_alloc_pd_resp.encode({ pdn: protectionDomains }));
    },
    registerDmabuf: (call, registration) => registerDmabuf(device, call, registration),
    dmabufAttributes: device.dataDirectSeries ? [[MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, flagsAttribute(false)]] : [],
    deviceMethods: device.dataDirectSeries
      ? [[MLX5_IB_METHOD_GET_DATA_DIRECT_SYSFS_PATH, getDataDirectSysfsPath(device)]]
      : [],
    // devx_is_supported
    objects: device.nic.firmware?.userContexts === true ? [[MLX5_IB_OBJECT_DEVX, devxMethods(device.nic)]] : [],
  };
}

/** mlx5_ib_alloc_ucontext. True: with a user context of the firmware. */
function allocContext(device: Mlx5Device, call: Call): boolean {
  const given = call.input(UVERBS_ATTR_UHW_IN) ?? Buffer.alloc(0);
  if (given.length !== REQUEST_V1 && given.length < REQUEST_V2)
    fail('EINVAL', `context request of ${given.length} bytes`);
  const bytes = Buffer.alloc(mlx5_ib_alloc_ucontext_req_v2.size);
  given.copy(bytes);
  const request = mlx5_ib_alloc_ucontext_req_v2.read(bytes);
  if ((request.flags & ~MLX5_IB_ALLOC_UCTX_DEVX) !== 0) fail('EOPNOTSUPP', `context flags ${request.flags}`);
  const reserved = request.comp_mask | request.reserved0 | request.reserved1 | request.reserved2;
  if (reserved !== 0) fail('EOPNOTSUPP', 'comp_mask or reserved fields');
  if ((request.lib_caps & MLX5_LIB_CAP_DYN_UAR) === 0n)
    checkBfregs(request.total_num_bfregs, request.num_low_latency_bfregs);

  const devx = request.flags === MLX5_IB_ALLOC_UCTX_DEVX;
  if (devx && device.nic.firmware?.userContexts !== true) fail('EINVAL', 'log_max_uctx');

  const room = call.length(UVERBS_ATTR_UHW_OUT);
  const response = mlx5_ib_alloc_ucontext_resp.encode({
    qp_tab_size: 1 << 18,
    bf_reg_size: 512,
    tot_bfregs: request.total_num_bfregs,
    cache_line_size: 64,
    max_sq_desc_sz: 1024,
    max_rq_desc_sz: 512,
    max_send_wqebb: 32_768,
    max_recv_wr: 32_768,
    max_srq_recv_wr: 32_767,
    num_ports: 1,
    response_length: Math.min(room, mlx5_ib_alloc_ucontext_resp.size),
    cqe_version: Math.min(request.max_cqe_version, 1),
    log_uar_size: (request.lib_caps & MLX5_LIB_CAP_4K_UAR) !== 0n ? 12 : 0,
    num_uars_per_page: 1,
  });
  call.driverOutput(response.subarray(0, Math.min(room, response.length)));
  return devx;
}

/** Without dynamic UARs the caller must ask for blue flame registers. */
function checkBfregs(total: number, lowLatency: number): void {
  const rounded = Math.ceil(total / BFREGS_PER_UAR) * BFREGS_PER_UAR;
  if (rounded === 0) fail('EINVAL', 'no blue flame registers and no DYN_UAR');
  if (rounded > MAX_BFREGS) fail('ENOMEM', `${rounded} blue flame registers`);
  if (lowLatency > rounded - 1) fail('EINVAL', 'low latency registers');
}

function getDataDirectSysfsPath(device: Mlx5Device): Method {
  const id = MLX5_IB_ATTR_GET_DATA_DIRECT_SYSFS_PATH;
  return {
    name: 'path',
    ofDriver: true,
    attributes: new Map([[id, { kind: 'out', least: 0, most: 0xffff, mandatory: true }]]),
    run(call) {
      call.file.requireContext();
      const dma = device.dataDirect.dmaOf(device.nic) ?? fail('ENODEV', 'no DMA function is bound to this device');
      const path = Buffer.from(`${dma.devpath}\0`);
      if (path.length > call.length(id)) fail('ENOSPC', 'path');
      call.output(id, path);
    },
  };
}

/** mlx5_ib_reg_user_mr_dmabuf. */
function registerDmabuf(device: Mlx5Device, call: Call, wanted: Registration): MemoryRegion {
  if (!device.onDemandPaging) fail('EOPNOTSUPP', 'a kernel without on-demand paging');
  const flags = call.flags(MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT);
  if (!umrCanLoad(device, wanted.length)) fail('EINVAL', 'more pages than UMR can load');
  return (flags & MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT) === 0
    ? ordinaryRegion(device, wanted)
    : dataDirectRegion(device, wanted);
}

function ordinaryRegion({ nic, dmabufs, mkeys }: Mlx5Device, wanted: Registration): MemoryRegion {
  dmabufs.attach(wanted.fd, wanted.offset, wanted.length, nic);
  const key = mkeys.create({ mode: 'mtt' });
  return { ...describe(wanted, key), dataDirect: false, destroy: () => mkeys.destroy(key) };
}

/** reg_user_mr_dmabuf_by_data_direct: a KSM key over the DMABUF, then the crossing key over that, which the user gets. */
function dataDirectRegion(device: Mlx5Device, wanted: Registration): MemoryRegion {
  const { nic, dmabufs, dataDirect, mkeys } = device;
  dmabufs.attach(wanted.fd, wanted.offset, wanted.length, dataDirectFunction(device, wanted));
  if (nic.firmware?.crossingVhcaMkey !== true) fail('EOPNOTSUPP', 'crossing_vhca_mkey');
  const access = device.relaxedOrderingMkey ? wanted.access : wanted.access & ~IB_UVERBS_ACCESS_RELAXED_ORDERING;
  const ksm = mkeys.create({ mode: 'ksm', through: mkeys.dataDirect, free: false });
  const crossing = mkeys.create({ mode: 'crossing', target: ksm });
  const revocable = { revoke: () => mkeys.revoke(ksm) };
  dataDirect.register(nic, revocable);
  return {
    ...describe({ ...wanted, access }, crossing),
    dataDirect: true,
    destroy() {
      dataDirect.deregister(nic, revocable);
      mkeys.destroy(crossing);
      mkeys.destroy(ksm);
    },
  };
}

function describe({ length, access }: Registration, key: number) {
  return { lkey: key, rkey: key, length, access };
}

/** mlx5r_umr_can_load_pas. */
function umrCanLoad({ nic, pageSize }: Mlx5Device, length: bigint): boolean {
  return nic.firmware?.umrExtendedTranslationOffset === true || length < BigInt(MAX_UMR_PAGES) * BigInt(pageSize);
}

function dataDirectFunction(device: Mlx5Device, wanted: Registration): PciFunction {
  if (wanted.iova % BigInt(device.pageSize) !== 0n) fail('EOPNOTSUPP', `iova is not aligned to ${device.pageSize}`);
  return device.dataDirect.dmaOf(device.nic) ?? fail('EINVAL', 'no DMA function is bound to this device');
}
