// Debian's libibverbs through koffi: enough for a pair of reliably connected queue pairs. Posting and polling are calls
// through the table of functions at the start of a context (struct ibv_context_ops), as in verbs.h's inline functions.

import koffi from 'koffi';
import { struct, u16, u32, u64, u8 } from '../../../driver-core/src/verbs/struct.ts';

/** An address inside libibverbs. */
export type Pointer = bigint;

const library = koffi.load('libibverbs.so.1');

export const ibv = {
  getDeviceList: library.func('void **ibv_get_device_list(_Out_ int *count)'),
  getDeviceName: library.func('const char *ibv_get_device_name(void *device)'),
  openDevice: library.func('void *ibv_open_device(void *device)'),
  closeDevice: library.func('int ibv_close_device(void *context)'),
  allocPd: library.func('void *ibv_alloc_pd(void *context)'),
  deallocPd: library.func('int ibv_dealloc_pd(void *pd)'),
  regMr: library.func('void *ibv_reg_mr(void *pd, void *address, size_t length, int access)'),
  deregMr: library.func('int ibv_dereg_mr(void *mr)'),
  createCq: library.func('void *ibv_create_cq(void *context, int entries, void *cqContext, void *channel, int vector)'),
  destroyCq: library.func('int ibv_destroy_cq(void *cq)'),
  createQp: library.func('void *ibv_create_qp(void *pd, void *attributes)'),
  modifyQp: library.func('int ibv_modify_qp(void *qp, void *attributes, int mask)'),
  destroyQp: library.func('int ibv_destroy_qp(void *qp)'),
  statusText: library.func('const char *ibv_wc_status_str(int status)'),
};

const operations = {
  poll_cq: koffi.proto('int poll_cq(void *cq, int entries, _Out_ void *completions)'),
  post_send: koffi.proto('int post_send(void *qp, void *request, _Out_ void **bad)'),
};

/** infiniband/verbs.h, on a 64-bit machine. Pointers are u64. */
export const ibv_qp_init_attr = struct('ibv_qp_init_attr', {
  qp_context: u64,
  send_cq: u64,
  recv_cq: u64,
  srq: u64,
  max_send_wr: u32,
  max_recv_wr: u32,
  max_send_sge: u32,
  max_recv_sge: u32,
  max_inline_data: u32,
  qp_type: u32,
  sq_sig_all: u32,
});

const grh = { dgid_high: u64, dgid_low: u64, flow_label: u32, sgid_index: u8, hop_limit: u8, traffic_class: u8 };
export const ibv_ah_attr = struct('ibv_ah_attr', {
  ...grh,
  grh_end: u8,
  dlid: u16,
  sl: u8,
  src_path_bits: u8,
  static_rate: u8,
  is_global: u8,
  port_num: u8,
});

export const ibv_qp_attr = struct('ibv_qp_attr', {
  qp_state: u32,
  cur_qp_state: u32,
  path_mtu: u32,
  path_mig_state: u32,
  qkey: u32,
  rq_psn: u32,
  sq_psn: u32,
  dest_qp_num: u32,
  qp_access_flags: u32,
});
/** Behind five words of struct ibv_qp_cap, which is not needed after the creation. */
export const ahAttrOffset = 56;
/** Behind two struct ibv_ah_attr. */
export const qpAttrEndOffset = 120;
export const ibv_qp_attr_end = struct('the end of ibv_qp_attr', {
  pkey_index: u16,
  alt_pkey_index: u16,
  en_sqd_async_notify: u8,
  sq_draining: u8,
  max_rd_atomic: u8,
  max_dest_rd_atomic: u8,
  min_rnr_timer: u8,
  port_num: u8,
  timeout: u8,
  retry_cnt: u8,
  rnr_retry: u8,
});
export const qpAttrSize = 144;

export const ibv_sge = struct('ibv_sge', { addr: u64, length: u32, lkey: u32 });

export const ibv_send_wr = struct('ibv_send_wr', {
  wr_id: u64,
  next: u64,
  sg_list: u64,
  num_sge: u32,
  opcode: u32,
  send_flags: u32,
  imm_data: u32,
  remote_addr: u64,
  rkey: u32,
});
/** With the unions for atomics and memory windows. */
export const sendWrSize = 128;

export const ibv_wc = struct('ibv_wc', {
  wr_id: u64,
  status: u32,
  opcode: u32,
  vendor_err: u32,
  byte_len: u32,
  imm_data: u32,
  qp_num: u32,
  src_qp: u32,
  wc_flags: u32,
  pkey_index: u16,
  slid: u16,
  sl: u8,
  dlid_path_bits: u8,
});

/** Where in a struct that libibverbs made its field is. */
const fields = {
  context: { ops: { poll_cq: 8 + 11 * 8, post_send: 8 + 25 * 8 }, cmd_fd: 264 },
  pd: { handle: 8 },
  mr: { lkey: 36, rkey: 40 },
  qp: { qp_num: 52 },
} as const;

export const made = {
  /** File descriptor of the kernel's context. */
  commandFd: (context: Pointer): number => koffi.decode(context, fields.context.cmd_fd, 'int') as number,
  pdHandle: (pd: Pointer): number => koffi.decode(pd, fields.pd.handle, 'uint32_t') as number,
  lkey: (mr: Pointer): number => koffi.decode(mr, fields.mr.lkey, 'uint32_t') as number,
  rkey: (mr: Pointer): number => koffi.decode(mr, fields.mr.rkey, 'uint32_t') as number,
  qpNumber: (qp: Pointer): number => koffi.decode(qp, fields.qp.qp_num, 'uint32_t') as number,
};

/** One completion, undefined while there is none. */
export function pollCq(context: Pointer, cq: Pointer): ReturnType<typeof ibv_wc.read> | undefined {
  const completion = Buffer.alloc(ibv_wc.size);
  const count = callOperation(context, 'poll_cq', cq, 1, completion);
  if (count < 0) throw new Error(`ibv_poll_cq: ${count}`);
  return count === 0 ? undefined : ibv_wc.read(completion);
}

export function postSend(context: Pointer, qp: Pointer, request: Buffer): void {
  const errno = callOperation(context, 'post_send', qp, request, [null]);
  if (errno !== 0) throw new Error(`ibv_post_send: errno ${errno}`);
}

function callOperation(context: Pointer, name: keyof typeof operations, ...values: unknown[]): number {
  const address: unknown = koffi.decode(context, fields.context.ops[name], 'void *');
  return koffi.call(address, operations[name], ...values) as number;
}
