// One open /dev/fwctl/fwctlN: FWCTL_RPC as drivers/fwctl/main.c takes it apart and drivers/fwctl/mlx5/main.c passes it on, in their order of checks.
// `make e2e-fwctl` holds it against those two on Linux 7.3.
import type { Answer, Pointer } from '../../host/host.ts';
import { FWCTL_RPC, fwctl_rpc } from '../../verbs/abi.ts';
import { general_obj_in_cmd_hdr, general_obj_out_cmd_hdr } from '../../verbs/firmware-abi.ts';
import type { PciFunction } from '../hardware.ts';
import { errno } from './errno.ts';
import { fail, Fault } from './fault.ts';
import { execute } from './firmware.ts';

/** MAX_RPC_LEN. */
const MOST_BYTES = 2 << 20;
/** FWCTL_RPC_CONFIGURATION … FWCTL_RPC_DEBUG_WRITE_FULL. */
const SCOPES = 4;
/** What mlx5ctl_validate_rpc lets through at every scope. Higher scopes may give more commands, none of which this firmware knows. */
const ALLOWED: ReadonlySet<number> = new Set([
  0x100, 0x101, 0x109, 0x10e, 0x731, 0x740, 0x760, 0x762, 0x823, 0xb22, 0xb2e,
]);
/** The user context that it opens. Some firmware lets it do more than those of DEVX. */
const UID = 0x100;

export interface FwctlDevice {
  readonly nic: PciFunction;
  /** Of fwctlN. */
  readonly number: number;
  /** mlx5_fwctl let go of it: every call on what is still open is ENODEV. */
  gone: boolean;
}

export class FwctlFile {
  readonly #device: FwctlDevice;

  constructor(device: FwctlDevice) {
    this.#device = device;
  }

  ioctl(request: number, bytes: Buffer, pointers: readonly Pointer[]): Answer<0> {
    if (request !== FWCTL_RPC) return errno('ENOTTY', `ioctl 0x${request.toString(16)}`);
    try {
      this.#rpc(bytes, pointers);
      return 0;
    } catch (error) {
      if (error instanceof Fault) return error.errno;
      throw error;
    }
  }

  close(): void {}

  #rpc(bytes: Buffer, pointers: readonly Pointer[]): void {
    const { scope, in_len, out_len } = this.#request(bytes);
    if (this.#device.gone) fail('ENODEV', 'the device was removed');
    if (in_len > MOST_BYTES || out_len > MOST_BYTES) fail('EMSGSIZE', 'command or answer');
    if (scope >= SCOPES) fail('EOPNOTSUPP', `scope ${scope}`);
    const command = Buffer.from(pointed(pointers, fwctl_rpc.offsets.in, in_len));
    if (in_len < general_obj_in_cmd_hdr.size || out_len < general_obj_out_cmd_hdr.size) fail('EMSGSIZE', 'header');
    const { opcode } = general_obj_in_cmd_hdr.read(command);
    if (!ALLOWED.has(opcode)) fail('EBADMSG', `command 0x${opcode.toString(16)}`);
    general_obj_in_cmd_hdr.write(command, 0, { uid: UID });
    // Whether the firmware liked it stands in the answer: the command was delivered.
    execute(this.#device.nic, command, pointed(pointers, fwctl_rpc.offsets.out, out_len));
  }

  /** copy_struct_from_user: callers may know a shorter or a longer struct, but nothing may stand in what the kernel does not know. */
  #request(bytes: Buffer) {
    if (bytes.length < 4) fail('EFAULT', 'request');
    const size = bytes.readUInt32LE();
    if (size < fwctl_rpc.size) fail('EINVAL', `size ${size}`);
    if (bytes.length < size) fail('EFAULT', 'request');
    if (bytes.subarray(fwctl_rpc.size, size).some((byte) => byte !== 0)) fail('E2BIG', `size ${size}`);
    return fwctl_rpc.read(bytes);
  }
}

function pointed(pointers: readonly Pointer[], offset: number, length: number): Buffer {
  const target = pointers.find((pointer) => pointer.offset === offset)?.target;
  if (target === undefined || target.length < length) fail('EFAULT', 'user memory');
  return target.subarray(0, length);
}
