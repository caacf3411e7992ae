// What a NIC's firmware itself says of data direct: its capabilities, and the VUID of the DMA function that it belongs with. The commands go
// through a mailbox that somebody else opened: devx.ts (no privilege, the uverbs node) or fwctl.ts (root, no RDMA device needed).
import type { Answer } from '../host/host.ts';
import { Errno, refused } from '../host/host.ts';
import type { FirmwareCommand } from './errors.ts';
import { Refusal } from './errors.ts';
import * as abi from './firmware-abi.ts';

export interface Firmware {
  /** The answer to a command whose status is good; EREMOTEIO when the firmware refused it. */
  execute(command: Buffer, answerBytes: number): Promise<Answer<Buffer>>;
  close(): Promise<void>;
}

/** Data direct is on only where firmware has both data_direct and query_vuid (drivers/infiniband/hw/mlx5/main.c, mlx5_ib_data_direct_init). */
export interface Capabilities {
  readonly dataDirect: boolean;
  readonly queryVuid: boolean;
  /** Without it pairing works, and every registration is answered EOPNOTSUPP (hw/mlx5/mr.c, reg_create_crossing_vhca_mr). */
  readonly crossingVhcaMkey: boolean;
  /** The function's own number, by which QUERY_VUID names it. */
  readonly vhcaId: number;
}

export async function queryCapabilities(firmware: Firmware): Promise<Capabilities | Refusal> {
  const general = await capabilityBlock(firmware, abi.MLX5_CAP_GENERAL);
  if (general instanceof Refusal) return general;
  const { data_direct, crossing_vhca_mkey, hca_cap_2, vhca_id } = abi.cmd_hca_cap.read(general);
  // As the kernel does: without hca_cap_2 there is no second block, and all in it counts as off.
  const second = hca_cap_2 === 1 ? await capabilityBlock(firmware, abi.MLX5_CAP_GENERAL_2) : undefined;
  if (second instanceof Refusal) return second;
  return {
    dataDirect: data_direct === 1,
    queryVuid: second !== undefined && abi.cmd_hca_cap_2.read(second).query_vuid === 1,
    crossingVhcaMkey: crossing_vhca_mkey === 1,
    vhcaId: vhca_id,
  };
}

async function capabilityBlock(firmware: Firmware, type: number): Promise<Buffer | Refusal> {
  const command = abi.query_hca_cap_in.encode({
    opcode: abi.MLX5_CMD_OP_QUERY_HCA_CAP,
    op_mod: (type << 1) | abi.HCA_CAP_OPMOD_GET_CUR,
  });
  const answer = await executed(firmware, 'QUERY_HCA_CAP', command, abi.query_hca_cap_out.size);
  return answer instanceof Refusal ? answer : answer.subarray(abi.CAPABILITY_OFFSET);
}

/** The VUID that the kernel compares with the VPD's VU of every DMA function, up to its first NUL as strcmp does. */
export async function queryDataDirectVuid(firmware: Firmware, vhcaId: number): Promise<string | Refusal> {
  const command = abi.query_vuid_in.encode({
    opcode: abi.MLX5_CMD_OPCODE_QUERY_VUID,
    data_direct: 1,
    vhca_id: vhcaId,
  });
  const answer = await executed(firmware, 'QUERY_VUID', command, abi.query_vuid_out.size + abi.VUID_BYTES);
  if (answer instanceof Refusal) return answer;
  const text = answer.subarray(abi.query_vuid_out.size);
  const end = text.indexOf(0);
  return text.toString('latin1', 0, end < 0 ? text.length : end);
}

async function executed(
  firmware: Firmware,
  name: FirmwareCommand,
  command: Buffer,
  bytes: number,
): Promise<Buffer | Refusal> {
  const answer = await firmware.execute(command, bytes);
  return refused(answer) ? new Refusal(name, answer) : answer;
}

/** The driver answers EREMOTEIO where firmware ran the command and refused; why stands at the beginning of what it wrote. */
export function refusedByFirmware(answer: Buffer): Errno | undefined {
  const { status, syndrome } = abi.general_obj_out_cmd_hdr.read(answer);
  if (status === 0) return undefined;
  const says = abi.MLX5_CMD_STAT[status] ?? 'a status without a name';
  return new Errno('EREMOTEIO', 121, `firmware status ${hex(status)} (${says}), syndrome ${hex(syndrome)}`);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
