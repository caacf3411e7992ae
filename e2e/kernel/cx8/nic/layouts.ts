// What commands and contexts look like in memory: the part of include/linux/mlx5/mlx5_ifc.h that this firmware reads or writes, with
// the names it has there. e2e/oracle holds every entry against that header.
import { bits, dword, layout, octets, qword } from '../layout.ts';

// Commands. Each begins with opcode, uid (of a DEVX context) and op_mod, each answer with status and syndrome.
export const commandInput = layout('cmd_in', 0x08, { opcode: bits(0x00, 31, 16), op_mod: bits(0x04, 15, 0) });
export const commandOutput = layout('cmd_out', 0x08, { status: bits(0x00, 31, 24), syndrome: dword(0x04) });

export const queryIssiOut = layout('query_issi_out', 0x70, {
  current_issi: bits(0x08, 15, 0),
  supported_issi_dw0: dword(0x6c),
});
export const queryHcaCapIn = layout('query_hca_cap_in', 0x10, { op_mod: bits(0x04, 15, 0) });
export const queryHcaCapOut = layout('query_hca_cap_out', 0x1010, { capability: octets(0x10, 0x1000) });
export const queryAdapterOut = layout('query_adapter_out', 0x110, { query_adapter_struct: octets(0x10, 0x100) });
export const adapter = layout('query_adapter_param_block', 0x100, {
  ieee_vendor_id: bits(0x18, 23, 0),
  vsd_contd_psid: octets(0xf0, 16),
});
export const queryVuidIn = layout('query_vuid_in', 0x10, {
  query_vfs_vuid: bits(0x0c, 31),
  data_direct: bits(0x0c, 30),
  vhca_id: bits(0x0c, 15, 0),
});
/** 128 bytes an entry follow. */
export const queryVuidOut = layout('query_vuid_out', 0x40, { num_of_entries: bits(0x3c, 15, 0) });
/** The answer of every command that makes a numbered thing has its number in this place. */
export const numberedOut = layout('alloc_pd_out', 0x10, { pd: bits(0x08, 23, 0) });
/** As has the input of every command that takes one. */
export const numberedIn = layout('dealloc_pd_in', 0x10, { pd: bits(0x08, 23, 0) });
export const accessRegisterIn = layout('access_register_in', 0x10, {
  op_mod: bits(0x04, 15, 0),
  register_id: bits(0x08, 15, 0),
});
export const accessRegisterOut = layout('access_register_out', 0x10, {});

/** A page list of 8 bytes a page follows the CREATE commands of queues and memory keys. */
export const createEqIn = layout('create_eq_in', 0x110, {
  eq_context_entry: octets(0x10, 0x40),
  event_bitmask: octets(0x58, 0x20),
});
export const createCqIn = layout('create_cq_in', 0x110, { cq_context: octets(0x10, 0x40) });
export const createQpIn = layout('create_qp_in', 0x110, { qpc: octets(0x18, 0xe8) });
/** The shape of every QP transition. */
export const modifyQpIn = layout('rst2init_qp_in', 0x110, {
  qpn: bits(0x08, 23, 0),
  opt_param_mask: dword(0x10),
  qpc: octets(0x18, 0xe8),
});
export const queryQpOut = layout('query_qp_out', 0x1d0, { qpc: octets(0x18, 0xe8) });
export const createMkeyIn = layout('create_mkey_in', 0x110, {
  data_direct: bits(0x0c, 29),
  memory_key_mkey_entry: octets(0x10, 0x40),
  translations_octword_actual_size: dword(0x60),
});

export const queryHcaVportContextOut = layout('query_hca_vport_context_out', 0x210, {
  hca_vport_context: octets(0x10, 0x200),
});
export const queryHcaVportGidIn = layout('query_hca_vport_gid_in', 0x10, { gid_index: bits(0x0c, 15, 0) });
export const queryHcaVportGidOut = layout('query_hca_vport_gid_out', 0x10, { gids_num: bits(0x0c, 31, 16) });
export const queryHcaVportPkeyOut = layout('query_hca_vport_pkey_out', 0x10, {});

// Contexts.
export const eqc = layout('eqc', 0x40, {
  log_eq_size: bits(0x0c, 28, 24),
  uar_page: bits(0x0c, 23, 0),
  intr: bits(0x14, 11, 0),
  log_page_size: bits(0x18, 28, 24),
});
export const cqc = layout('cqc', 0x40, {
  cqe_sz: bits(0x00, 23, 21),
  page_offset: bits(0x08, 11, 6),
  log_cq_size: bits(0x0c, 28, 24),
  c_eqn_or_apu_element: dword(0x14),
  log_page_size: bits(0x18, 28, 24),
  dbr_addr: qword(0x38),
});
export const qpc = layout('qpc', 0xe8, {
  state: bits(0x00, 31, 28),
  st: bits(0x00, 23, 16),
  pd: bits(0x04, 23, 0),
  log_rq_size: bits(0x08, 22, 19),
  log_rq_stride: bits(0x08, 18, 16),
  no_sq: bits(0x08, 15),
  log_sq_size: bits(0x08, 14, 11),
  user_index: bits(0x10, 23, 0),
  log_page_size: bits(0x14, 28, 24),
  remote_qpn: bits(0x14, 23, 0),
  primary_address_path: octets(0x18, 0x2c),
  rnr_retry: bits(0x70, 15, 13),
  cqn_snd: bits(0x7c, 23, 0),
  rre: bits(0x90, 15),
  rwe: bits(0x90, 14),
  page_offset: bits(0x90, 11, 6),
  cqn_rcv: bits(0x9c, 23, 0),
  dbr_addr: qword(0xa0),
  rq_type: bits(0xac, 26, 24),
});
/** Address path: where the other end is. */
export const ads = layout('ads', 0x2c, { rlid: bits(0x04, 15, 0) });
export const mkc = layout('mkc', 0x40, {
  free: bits(0x00, 30),
  access_mode_4_2: bits(0x00, 28, 26),
  relaxed_ordering_write: bits(0x00, 18),
  a: bits(0x00, 14),
  rw: bits(0x00, 13),
  rr: bits(0x00, 12),
  lw: bits(0x00, 11),
  lr: bits(0x00, 10),
  access_mode_1_0: bits(0x00, 9, 8),
  qpn: bits(0x04, 31, 8),
  mkey_7_0: bits(0x04, 7, 0),
  length64: bits(0x0c, 31),
  pd: bits(0x0c, 23, 0),
  start_addr: qword(0x10),
  len: qword(0x18),
  crossing_target_vhca_id: bits(0x30, 31, 16),
  translations_octword_size: dword(0x34),
  relaxed_ordering_read: bits(0x38, 6),
  log_page_size: bits(0x38, 5, 0),
});
export const hcaVportContext = layout('hca_vport_context', 0x200, {
  port_physical_state: bits(0x20, 15, 12),
  vport_state: bits(0x20, 3, 0),
  system_image_guid: qword(0x28),
  port_guid: qword(0x30),
  node_guid: qword(0x38),
  cap_mask1: dword(0x40),
  lid: bits(0x60, 31, 16),
  subnet_timeout: bits(0x60, 4, 0),
  sm_lid: bits(0x64, 31, 16),
});

// Registers.
export const ptysReg = layout('ptys_reg', 0x40, {
  ib_link_width_capability: bits(0x10, 31, 16),
  ib_proto_capability: bits(0x10, 15, 0),
  ib_link_width_oper: bits(0x28, 31, 16),
  ib_proto_oper: bits(0x28, 15, 0),
});
export const pmtuReg = layout('pmtu_reg', 0x10, {
  max_mtu: bits(0x04, 31, 16),
  admin_mtu: bits(0x08, 31, 16),
  oper_mtu: bits(0x0c, 31, 16),
});
/** Each with its unit in bits 31:29 (0 milliseconds, 1 seconds) and its value in bits 19:0. */
export const dtorReg = layout('dtor_reg', 0x40, {
  pcie_toggle_to: dword(0x04),
  health_poll_to: dword(0x14),
  full_crdump_to: dword(0x18),
  fw_reset_to: dword(0x1c),
  flush_on_err_to: dword(0x20),
  pci_sync_update_to: dword(0x24),
  tear_down_to: dword(0x28),
  fsm_reactivate_to: dword(0x2c),
  reclaim_pages_to: dword(0x30),
  reclaim_vfs_pages_to: dword(0x34),
});
export const pvlcReg = layout('pvlc_reg', 0x10, {
  vl_hw_cap: bits(0x04, 3, 0),
  vl_admin: bits(0x08, 3, 0),
  vl_operational: bits(0x0c, 3, 0),
});

// Capabilities: a field that is not here is zero, which means that the device cannot do it.
export const generalCapabilities = layout('cmd_hca_cap', 0x100, {
  page_request_disable: bits(0x00, 25),
  hca_cap_2: bits(0x04, 31),
  vhca_id: bits(0x04, 15, 0),
  log_max_srq_sz: bits(0x10, 31, 24),
  log_max_qp_sz: bits(0x10, 23, 16),
  log_max_qp: bits(0x10, 4, 0),
  log_max_srq: bits(0x14, 20, 16),
  log_max_cq_sz: bits(0x18, 23, 16),
  log_max_cq: bits(0x18, 4, 0),
  log_max_eq_sz: bits(0x1c, 31, 24),
  relaxed_ordering_write: bits(0x1c, 23),
  log_max_mkey: bits(0x1c, 21, 16),
  log_max_eq: bits(0x1c, 3, 0),
  max_indirection: bits(0x20, 31, 24),
  fixed_buffer_size: bits(0x20, 23),
  log_max_mrw_sz: bits(0x20, 22, 16),
  umr_extended_translation_offset: bits(0x20, 7),
  log_max_klm_list_size: bits(0x20, 5, 0),
  log_max_ra_req_qp: bits(0x28, 21, 16),
  log_max_ra_res_qp: bits(0x28, 5, 0),
  gid_table_size: bits(0x2c, 15, 0),
  pkey_table_size: bits(0x30, 15, 0),
  ib_virt: bits(0x34, 29),
  port_type: bits(0x34, 9, 8),
  num_ports: bits(0x34, 7, 0),
  log_max_msg: bits(0x38, 28, 24),
  cqe_version: bits(0x3c, 3, 0),
  pg: bits(0x44, 24),
  cd: bits(0x44, 19),
  xrc: bits(0x44, 3),
  ud: bits(0x44, 2),
  uc: bits(0x44, 1),
  rc: bits(0x44, 0),
  uar_4k: bits(0x48, 31),
  log_bf_reg_size: bits(0x4c, 20, 16),
  max_wqe_sz_sq: bits(0x50, 15, 0),
  max_wqe_sz_rq: bits(0x54, 15, 0),
  log_max_transport_domain: bits(0x64, 28, 24),
  relaxed_ordering_read: bits(0x64, 21),
  log_max_pd: bits(0x64, 20, 16),
  log_max_xrcd: bits(0x64, 4, 0),
  log_max_uctx: bits(0x8c, 28, 24),
  max_num_eqs: bits(0x8c, 15, 0),
  num_of_uars_per_page: dword(0xa4),
  crossing_vhca_mkey: bits(0xb4, 13),
  uctx_cap: dword(0xd4),
  data_direct: bits(0xe8, 13),
});
export const generalCapabilities2 = layout('cmd_hca_cap_2', 0x100, { query_vuid: bits(0x10, 13) });
