// A NIC's firmware as a command reaches it: bytes in, bytes out, status and syndrome first. It knows QUERY_HCA_CAP and QUERY_VUID, the two that
// anybody asks here; the layouts are those of include/linux/mlx5/mlx5_ifc.h.
import {
  CAPABILITY_OFFSET,
  cmd_hca_cap,
  cmd_hca_cap_2,
  general_obj_in_cmd_hdr,
  general_obj_out_cmd_hdr,
  MLX5_CAP_GENERAL,
  MLX5_CAP_GENERAL_2,
  MLX5_CMD_OP_QUERY_HCA_CAP,
  MLX5_CMD_OPCODE_QUERY_VUID,
  query_hca_cap_in,
  query_hca_cap_out,
  query_vuid_in,
  query_vuid_out,
  VUID_BYTES,
} from '../../verbs/firmware-abi.ts';
import type { Firmware, PciFunction } from '../hardware.ts';
import { readOnlyKeyword } from '../vpd.ts';
import { refused } from '../../host/host.ts';
import { Fault } from './fault.ts';

/** Statuses of include/linux/mlx5/device.h. */
const BAD_OP = 0x02;
const BAD_PARAM = 0x03;
const BAD_OUTP_LEN = 0x51;
/** The syndrome is the firmware's own business; this one says that it was made up. */
const SYNDROME = 0xfeed;

type Nic = PciFunction & { readonly firmware: Firmware };

/** The bits that a driver reads to know whether there is data direct, as the firmware shows them. */
function generalCapabilities({ firmware }: Nic): Buffer {
  return cmd_hca_cap.encode({
    hca_cap_2: 1,
    vhca_id: firmware.vhcaId,
    umr_extended_translation_offset: Number(firmware.umrExtendedTranslationOffset),
    log_max_uctx: firmware.userContexts ? 8 : 0,
    crossing_vhca_mkey: Number(firmware.crossingVhcaMkey),
    data_direct: Number(firmware.dataDirectVuid !== undefined),
  });
}

function moreCapabilities({ firmware }: Nic): Buffer {
  return cmd_hca_cap_2.encode({ query_vuid: Number(firmware.queryVuid) });
}

interface Command {
  /** A status instead of an answer. */
  answer(nic: Nic, command: Buffer, room: number): Buffer | number;
}

const COMMANDS: Readonly<Record<number, Command>> = {
  [MLX5_CMD_OP_QUERY_HCA_CAP]: {
    answer(nic, command, room) {
      if (room < query_hca_cap_out.size) return BAD_OUTP_LEN;
      const answer = query_hca_cap_out.encode({});
      // Maximum and current are the same here.
      const type = query_hca_cap_in.read(command).op_mod >> 1;
      if (type === MLX5_CAP_GENERAL) generalCapabilities(nic).copy(answer, CAPABILITY_OFFSET);
      if (type === MLX5_CAP_GENERAL_2) moreCapabilities(nic).copy(answer, CAPABILITY_OFFSET);
      return answer;
    },
  },
  [MLX5_CMD_OPCODE_QUERY_VUID]: {
    answer(nic, command, room) {
      const { data_direct, vhca_id } = query_vuid_in.read(command);
      if (!nic.firmware.queryVuid) return BAD_OP;
      const vuid = data_direct === 1 ? nic.firmware.dataDirectVuid : ownVuid(nic);
      if (vuid === undefined || vhca_id !== nic.firmware.vhcaId) return BAD_PARAM;
      if (room < query_vuid_out.size + VUID_BYTES) return BAD_OUTP_LEN;
      const entry = Buffer.alloc(VUID_BYTES);
      entry.write(vuid, 'latin1');
      return Buffer.concat([query_vuid_out.encode({ num_of_entries: 1 }), entry]);
    },
  },
};

function ownVuid({ vpd }: Nic): string | undefined {
  const vuid = vpd && readOnlyKeyword(vpd, 'VU');
  return vuid === undefined || refused(vuid) ? undefined : vuid;
}

/** Executes the command and fills `answer`, whatever room it has. True: the status is good. */
export function execute(nic: PciFunction, command: Buffer, answer: Buffer): boolean {
  const { opcode, uid } = general_obj_in_cmd_hdr.read(command);
  const result = isNic(nic) ? run(nic, { opcode, uid }, command, answer.length) : BAD_OP;
  answer.fill(0);
  if (typeof result === 'number') general_obj_out_cmd_hdr.write(answer, 0, { status: result, syndrome: SYNDROME });
  else result.copy(answer);
  return typeof result !== 'number';
}

function run(nic: Nic, { opcode, uid }: { opcode: number; uid: number }, command: Buffer, room: number) {
  const refusal = uid === 0 ? undefined : nic.firmware.refusesUsers.get(opcode);
  if (refused(refusal)) throw new Fault(refusal);
  return refusal ?? COMMANDS[opcode]?.answer(nic, command, room) ?? BAD_OP;
}

function isNic(one: PciFunction): one is Nic {
  return one.firmware !== undefined;
}
