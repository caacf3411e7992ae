// Debian's libibverbs with libmlx5 in the guest, as far as a queue pair needs it that talks to itself. Posting and polling are
// pointers in the context, so they are called through koffi's pointers. Layouts: infiniband/verbs.h on 64-bit Linux.

import koffi from 'koffi';
import { struct, u16, u32, u64, u8 } from '../../../driver-core/src/verbs/struct.ts';

type Pointer = bigint;
const NULL = 0n;

/** Offsets of what we read in structures that the library makes. */
const CONTEXT = { pollCq: 96n, postSend: 208n, commandFd: 264n };
const PD_HANDLE = 8n;
const MR = { lkey: 36n, rkey: 40n };
const QP_NUMBER = 52n;

const ibv_qp_init_attr = struct('ibv_qp_init_attr', {
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

/** With padding fields where parts are left out that stay zero. */
const ibv_qp_attr = struct('ibv_qp_attr', {
  qp_state: u32,
  cur_qp_state: u32,
  path_mtu: u32,
  path_mig_state: u32,
  qkey: u32,
  rq_psn: u32,
  sq_psn: u32,
  dest_qp_num: u32,
  qp_access_flags: u32,
  cap0: u32,
  cap1: u32,
  cap2: u32,
  cap3: u32,
  cap4: u32,
  grh0: u64,
  grh1: u64,
  grh2: u64,
  dlid: u16,
  sl: u8,
  src_path_bits: u8,
  static_rate: u8,
  is_global: u8,
  ah_port_num: u8,
  alt0: u64,
  alt1: u64,
  alt2: u64,
  alt3: u64,
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
  alt_port_num: u8,
  alt_timeout: u8,
  rate_limit: u32,
});

const ibv_send_wr = struct('ibv_send_wr', {
  wr_id: u64,
  next: u64,
  sg_list: u64,
  num_sge: u32,
  opcode: u32,
  send_flags: u32,
  imm_data: u32,
  remote_addr: u64,
  rkey: u32,
  rest0: u64,
  rest1: u64,
  rest2: u64,
  rest3: u64,
  rest4: u64,
  rest5: u64,
  rest6: u64,
  rest7: u64,
  rest8: u64,
});
const ibv_sge = struct('ibv_sge', { addr: u64, length: u32, lkey: u32 });
const ibv_wc = struct('ibv_wc', {
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
