// The part of the firmware's command interface that we speak: opcodes and layouts, nothing that runs. Names are those of
// include/linux/mlx5/mlx5_ifc.h (and device.h where said), so that a grep finds them there. The uverbs side is abi.ts.
import { bits, mailbox } from './mailbox.ts';

export const MLX5_CMD_OP_QUERY_HCA_CAP = 0x100;
/** In mlx5_ifc.h: MLX5_CMD_OPCODE_QUERY_VUID. */
export const MLX5_CMD_OPCODE_QUERY_VUID = 0xb22;

/** How every command begins; the kernel puts the caller's `uid` in (drivers/infiniband/hw/mlx5/devx.c). */
export const general_obj_in_cmd_hdr = mailbox('general_obj_in_cmd_hdr', 16, {
  opcode: bits(0x00, 16),
  uid: bits(0x10, 16),
});

/** How every answer begins. */
export const general_obj_out_cmd_hdr = mailbox('general_obj_out_cmd_hdr', 16, {
  status: bits(0x00, 8),
  syndrome: bits(0x20, 32),
});

export const query_vuid_in = mailbox('query_vuid_in', 16, {
  opcode: bits(0x00, 16),
  uid: bits(0x10, 16),
  query_vfs_vuid: bits(0x60, 1),
  data_direct: bits(0x61, 1),
  vhca_id: bits(0x70, 16),
});

/** `num_of_entries` texts of VUID_BYTES follow. */
export const query_vuid_out = mailbox('query_vuid_out', 64, {
  status: bits(0x00, 8),
  syndrome: bits(0x20, 32),
  num_of_entries: bits(0x1f0, 16),
});

/** struct mlx5_ifc_array1024_auto_bits. The kernel copies all of it and compares up to the first NUL. */
export const VUID_BYTES = 128;

export const query_hca_cap_in = mailbox('query_hca_cap_in', 16, {
  opcode: bits(0x00, 16),
  op_mod: bits(0x30, 16),
});

export const query_hca_cap_out = mailbox('query_hca_cap_out', 4112, {
  status: bits(0x00, 8),
  syndrome: bits(0x20, 32),
});

/** Where the capability block begins in query_hca_cap_out. */
export const CAPABILITY_OFFSET = 16;

/** include/linux/mlx5/device.h: enum mlx5_cap_type and enum mlx5_cap_mode, which together make op_mod. */
export const MLX5_CAP_GENERAL = 0;
export const MLX5_CAP_GENERAL_2 = 0x20;
export const HCA_CAP_OPMOD_GET_MAX = 0;
export const HCA_CAP_OPMOD_GET_CUR = 1;

/** The general capabilities, as far as they bear on data direct. */
export const cmd_hca_cap = mailbox('cmd_hca_cap', 256, {
  /** There is a second block to ask for. */
  hca_cap_2: bits(0x20, 1),
  vhca_id: bits(0x30, 16),
  umr_extended_translation_offset: bits(0x118, 1),
  /** 0: no DEVX. */
  log_max_uctx: bits(0x463, 5),
  crossing_vhca_mkey: bits(0x5b2, 1),
  data_direct: bits(0x752, 1),
});

export const cmd_hca_cap_2 = mailbox('cmd_hca_cap_2', 256, {
  query_vuid: bits(0x92, 1),
});

/** include/linux/mlx5/device.h: what the status of a refused command means. Statuses that no command of ours can be answered are left out. */
export const MLX5_CMD_STAT: Readonly<Record<number, string>> = {
  0x01: 'internal error',
  0x02: 'unknown command, or one that this caller may not give',
  0x03: 'bad parameter',
  0x04: 'bad system state',
  0x05: 'bad resource',
  0x06: 'resource busy',
  0x07: 'not ready',
  0x08: 'limit exceeded',
  0x50: 'bad length of the command',
  0x51: 'bad length of the answer',
};
