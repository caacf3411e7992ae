// The part of the uverbs ioctl ABI that we speak: ids and layouts, nothing that runs. Names are C's own, so that a grep finds them
// in the kernel and a C compiler can be asked about them. Both sides read these tables: the caller (request.ts) and the virtual kernel.
import { struct, u16, u32, u64, u8 } from './struct.ts';

/** _IOWR(RDMA_IOCTL_MAGIC 0x1b, 1, struct ib_uverbs_ioctl_hdr) — include/uapi/rdma/rdma_user_ioctl_cmds.h. Any other number is ENOTTY. */
export const RDMA_VERBS_IOCTL = 0xc0181b01;

/** include/uapi/rdma/rdma_user_ioctl_cmds.h; `attrs[]` follows. `length` covers header and attributes. */
export const ib_uverbs_ioctl_hdr = struct('ib_uverbs_ioctl_hdr', {
  length: u16,
  object_id: u16,
  method_id: u16,
  num_attrs: u16,
  reserved1: u64,
  driver_id: u32,
  reserved2: u32,
});

/**
 * include/uapi/rdma/rdma_user_ioctl_cmds.h. `attr_data` is a union (enum element or reserved), `data` too (pointer, inline payload or handle):
 * input of at most eight bytes stands inline, longer input and every output behind a pointer.
 */
export const ib_uverbs_attr = struct('ib_uverbs_attr', {
  attr_id: u16,
  len: u16,
  flags: u16,
  attr_data: u16,
  data: u64,
});

/** include/uapi/rdma/ib_user_verbs.h: struct ib_uverbs_alloc_pd and its response. `response` is unused when sent through INVOKE_WRITE. */
export const ib_uverbs_alloc_pd = struct('ib_uverbs_alloc_pd', { response: u64 });
export const ib_uverbs_alloc_pd_resp = struct('ib_uverbs_alloc_pd_resp', { pd_handle: u32 });

/** include/uapi/rdma/mlx5-abi.h. */
export const mlx5_ib_alloc_ucontext_req_v2 = struct('mlx5_ib_alloc_ucontext_req_v2', {
  total_num_bfregs: u32,
  num_low_latency_bfregs: u32,
  flags: u32,
  comp_mask: u32,
  max_cqe_version: u8,
  reserved0: u8,
  reserved1: u16,
  reserved2: u32,
  lib_caps: u64,
});

/** include/uapi/rdma/mlx5-abi.h. */
export const mlx5_ib_alloc_ucontext_resp = struct('mlx5_ib_alloc_ucontext_resp', {
  qp_tab_size: u32,
  bf_reg_size: u32,
  tot_bfregs: u32,
  cache_line_size: u32,
  max_sq_desc_sz: u16,
  max_rq_desc_sz: u16,
  max_send_wqebb: u32,
  max_recv_wr: u32,
  max_srq_recv_wr: u32,
  num_ports: u16,
  flow_action_flags: u16,
  comp_mask: u32,
  response_length: u32,
  cqe_version: u8,
  cmds_supp_uhw: u8,
  eth_min_inline: u8,
  clock_info_versions: u8,
  hca_core_clock_offset: u64,
  log_uar_size: u32,
  num_uars_per_page: u32,
  num_dyn_bfregs: u32,
  dump_fill_mkey: u32,
});

/** include/uapi/rdma/mlx5-abi.h. */
export const mlx5_ib_alloc_pd_resp = struct('mlx5_ib_alloc_pd_resp', { pdn: u32 });

/** include/uapi/rdma/rdma_user_ioctl_cmds.h: flags of ib_uverbs_attr. The kernel sets VALID_OUTPUT on an output that it wrote. */
export const UVERBS_ATTR_F_MANDATORY = 1;
export const UVERBS_ATTR_F_VALID_OUTPUT = 2;

/** enum rdma_driver_id — include/uapi/rdma/ib_user_ioctl_verbs.h. */
export const RDMA_DRIVER_MLX5 = 1;
export const RDMA_DRIVER_RXE = 14;

/** enum uverbs_default_objects — include/uapi/rdma/ib_user_ioctl_cmds.h. */
export const UVERBS_OBJECT_DEVICE = 0;
export const UVERBS_OBJECT_PD = 1;
export const UVERBS_OBJECT_MR = 7;

/** Ids from 0x1000 on belong to the device's driver — include/rdma/uverbs_ioctl.h: UVERBS_ID_NS_SHIFT 12. */
export const UVERBS_ATTR_UHW_IN = 0x1000;
export const UVERBS_ATTR_UHW_OUT = 0x1001;

/** enum uverbs_methods_device and its attributes — include/uapi/rdma/ib_user_ioctl_cmds.h. */
export const UVERBS_METHOD_INVOKE_WRITE = 0;
export const UVERBS_ATTR_CORE_IN = 0;
export const UVERBS_ATTR_CORE_OUT = 1;
export const UVERBS_ATTR_WRITE_CMD = 2;
export const UVERBS_METHOD_GET_CONTEXT = 3;
export const UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS = 0;
export const UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT = 1;

/** enum ib_uverbs_write_cmds — include/uapi/rdma/ib_user_verbs.h. */
export const IB_USER_VERBS_CMD_ALLOC_PD = 3;

/** include/uapi/rdma/ib_user_ioctl_cmds.h. */
export const UVERBS_METHOD_PD_DESTROY = 0;
export const UVERBS_ATTR_DESTROY_PD_HANDLE = 0;
export const UVERBS_METHOD_MR_DESTROY = 1;
export const UVERBS_ATTR_DESTROY_MR_HANDLE = 0;
export const UVERBS_METHOD_REG_DMABUF_MR = 4;
export const UVERBS_ATTR_REG_DMABUF_MR_HANDLE = 0;
export const UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE = 1;
export const UVERBS_ATTR_REG_DMABUF_MR_OFFSET = 2;
export const UVERBS_ATTR_REG_DMABUF_MR_LENGTH = 3;
export const UVERBS_ATTR_REG_DMABUF_MR_IOVA = 4;
export const UVERBS_ATTR_REG_DMABUF_MR_FD = 5;
export const UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS = 6;
export const UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY = 7;
export const UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY = 8;

/** include/uapi/rdma/mlx5_user_ioctl_cmds.h, since Linux 6.12. */
export const MLX5_IB_METHOD_GET_DATA_DIRECT_SYSFS_PATH = 0x1001;
export const MLX5_IB_ATTR_GET_DATA_DIRECT_SYSFS_PATH = 0x1000;
export const MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS = 0x1000;

/** include/uapi/rdma/mlx5_user_ioctl_cmds.h: a firmware command by way of the driver (DEVX). */
export const MLX5_IB_OBJECT_DEVX = 0x1000;
export const MLX5_IB_METHOD_DEVX_OTHER = 0x1000;
export const MLX5_IB_ATTR_DEVX_OTHER_CMD_IN = 0x1000;
export const MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT = 0x1001;

/** enum mlx5_ib_uapi_reg_dmabuf_flags — include/uapi/rdma/mlx5_user_ioctl_verbs.h. */
export const MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT = 1;

/** include/uapi/rdma/mlx5-abi.h: flags and lib_caps of mlx5_ib_alloc_ucontext_req_v2. */
export const MLX5_IB_ALLOC_UCTX_DEVX = 1;
export const MLX5_LIB_CAP_4K_UAR = 1n;
export const MLX5_LIB_CAP_DYN_UAR = 2n;

/** enum ib_uverbs_access_flags — include/uapi/rdma/ib_user_ioctl_verbs.h. */
export const IB_UVERBS_ACCESS_LOCAL_WRITE = 0x1;
export const IB_UVERBS_ACCESS_REMOTE_WRITE = 0x2;
export const IB_UVERBS_ACCESS_REMOTE_READ = 0x4;
export const IB_UVERBS_ACCESS_REMOTE_ATOMIC = 0x8;
export const IB_UVERBS_ACCESS_RELAXED_ORDERING = 0x100000;

/** include/uapi/fwctl/fwctl.h (Linux 6.15): ioctls of /dev/fwctl/fwctlN, and the scope that neither taints the kernel nor needs more than the node. */
export const FWCTL_RPC = 0x9a01;
export const FWCTL_RPC_CONFIGURATION = 0;
export const fwctl_rpc = struct('fwctl_rpc', {
  size: u32,
  scope: u32,
  in_len: u32,
  out_len: u32,
  in: u64,
  out: u64,
});

/** include/uapi/linux/limits.h: a sysfs path always fits. */
export const PATH_MAX = 4096;
