// What the NIC says that it can do (QUERY_HCA_CAP). Each further bit makes the drivers send more commands; a bit that is not here is
// zero.
import type { ValuesOf } from '../layout.ts';
import { generalCapabilities, generalCapabilities2 } from './layouts.ts';

type General = Partial<ValuesOf<typeof generalCapabilities>>;
type General2 = Partial<ValuesOf<typeof generalCapabilities2>>;
/** By the names of mlx5_ifc.h. */
export type Capabilities = General & General2;

/** An InfiniBand port whose management goes by HCA_VPORT commands (ib_virt): that spares all of Ethernet, flow steering and MADs. */
export const OWN_CAPABILITIES = {
  port_type: 0,
  ib_virt: 1,
  num_ports: 1,
  gid_table_size: 0, // 8 entries
  pkey_table_size: 0, // 128 entries
  page_request_disable: 1,
  log_max_eq: 4,
  max_num_eqs: 16,
  log_max_eq_sz: 22,
  log_max_cq: 16,
  log_max_cq_sz: 22,
  cqe_version: 1,
  log_max_qp: 17,
  log_max_qp_sz: 15,
  max_wqe_sz_sq: 512,
  max_wqe_sz_rq: 512,
  log_max_srq: 16,
  log_max_srq_sz: 15,
  log_max_ra_req_qp: 4,
  log_max_ra_res_qp: 4,
  log_max_msg: 30,
  rc: 1,
  uc: 1,
  ud: 1,
  xrc: 1,
  cd: 1,
  log_max_mkey: 18,
  log_max_pd: 16,
  log_max_xrcd: 16,
  log_max_transport_domain: 16,
  log_max_klm_list_size: 16,
  max_indirection: 4,
  fixed_buffer_size: 1,
  umr_extended_translation_offset: 1,
  pg: 1,
  uar_4k: 1,
  num_of_uars_per_page: 1,
  log_bf_reg_size: 9,
  log_max_uctx: 8,
  hca_cap_2: 1,
  query_vuid: 1,
  data_direct: 1,
  crossing_vhca_mkey: 1,
} as const satisfies Capabilities;

export function isCapability(name: string): name is keyof Capabilities {
  return Object.hasOwn(generalCapabilities.fields, name) || Object.hasOwn(generalCapabilities2.fields, name);
}

/** By the type in QUERY_HCA_CAP's op_mod; any other block is all zero. */
const BLOCKS: Readonly<Record<number, (capabilities: Capabilities) => Buffer>> = {
  0x00: (capabilities) => generalCapabilities.encode(capabilities),
  0x20: (capabilities) => generalCapabilities2.encode(capabilities),
};

export function capabilityBlock(type: number, capabilities: Capabilities): Buffer {
  return BLOCKS[type]?.(capabilities) ?? Buffer.alloc(0);
}
