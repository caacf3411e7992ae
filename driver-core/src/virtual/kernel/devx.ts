// Firmware commands of user contexts: MLX5_IB_METHOD_DEVX_OTHER of drivers/infiniband/hw/mlx5/devx.c, its filters in their order.
import {
  MLX5_IB_ATTR_DEVX_OTHER_CMD_IN,
  MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT,
  MLX5_IB_METHOD_DEVX_OTHER,
} from '../../verbs/abi.ts';
import { general_obj_in_cmd_hdr, general_obj_out_cmd_hdr } from '../../verbs/firmware-abi.ts';
import type { PciFunction } from '../hardware.ts';
import { fail } from './fault.ts';
import { execute } from './firmware.ts';
import type { Call, Method } from './uverbs.ts';

/** What mlx5_ib keeps for an open context. */
export interface Mlx5Context {
  /** The user context that the firmware knows it by; 0 without DEVX. */
  readonly uid: number;
}

/** Under this uid the driver sends what contexts without DEVX may ask too (dev->devx_whitelist_uid). */
const WHITELIST_UID = 1;
export const FIRST_UID = 2;

/** devx_is_whitelist_cmd: QUERY_HCA_CAP and three vport and e-switch queries. */
const FOR_EVERYBODY: ReadonlySet<number> = new Set([0x100, 0x762, 0x752, 0x740]);
/** devx_is_general_cmd: the whole of this range, and these queries. */
const GENERAL = { start: 0xb00, end: 0xd00 };
const GENERAL_TOO: ReadonlySet<number> = new Set([
  0x100, 0x101, 0x10a, 0x740, 0x750, 0x752, 0x754, 0x760, 0x762, 0x76f, 0x770, 0x80a, 0x80d, 0x822, 0x824, 0x826, 0x842,
]);

export function devxMethods(nic: PciFunction): ReadonlyMap<number, Method> {
  return new Map([[MLX5_IB_METHOD_DEVX_OTHER, other(nic)]]);
}

function other(nic: PciFunction): Method {
  return {
    name: 'devx',
    ofDriver: true,
    attributes: new Map([
      [
        MLX5_IB_ATTR_DEVX_OTHER_CMD_IN,
        { kind: 'in', least: general_obj_in_cmd_hdr.size, most: 0xffff, mandatory: true },
      ],
      [
        MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT,
        { kind: 'out', least: general_obj_out_cmd_hdr.size, most: 0xffff, mandatory: true },
      ],
    ]),
    run(call) {
      const context = call.file.requireContext() as Mlx5Context;
      const command = Buffer.from(call.input(MLX5_IB_ATTR_DEVX_OTHER_CMD_IN) ?? '');
      const { opcode } = general_obj_in_cmd_hdr.read(command);
      const uid = uidFor(opcode, context);
      const isGeneral = (opcode >= GENERAL.start && opcode < GENERAL.end) || GENERAL_TOO.has(opcode);
      if (!isGeneral) fail('EINVAL', `command 0x${opcode.toString(16)}`);
      general_obj_in_cmd_hdr.write(command, 0, { uid });
      answer(call, nic, command);
    },
  };
}

function uidFor(opcode: number, { uid }: Mlx5Context): number {
  if (uid !== 0) return uid;
  return FOR_EVERYBODY.has(opcode) ? WHITELIST_UID : fail('EINVAL', 'a context without DEVX');
}

/** Also what the firmware refused is copied out. */
function answer(call: Call, nic: PciFunction, command: Buffer): void {
  const bytes = Buffer.alloc(call.length(MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT));
  const good = execute(nic, command, bytes);
  call.output(MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT, bytes);
  if (!good) fail('EREMOTEIO', 'the firmware refused the command');
}
