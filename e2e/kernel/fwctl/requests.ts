// What a fwctl node answers, request by request: each an errno, or ok where the kernel took the command to the firmware. The function is sent to the guest as
// text, so everything that it needs stands in it.

import type { Guest } from '../guest/guest.ts';

export type FwctlGuest = Pick<Guest, 'openLinuxHost' | 'verbs'> & {
  readonly drivers: Pick<Guest['drivers'], 'unbind'>;
};

interface Asked {
  readonly request: number;
  readonly command: Buffer;
  /** For the answer. */
  readonly room: number;
  /** Behind the struct. */
  readonly tail: Buffer;
  /** Of the struct, where they are to be others than right ones. */
  readonly size: number;
  readonly scope: number;
  readonly in_len: number;
  readonly out_len: number;
}

export async function askFwctl(
  { openLinuxHost, verbs: { abi }, drivers }: FwctlGuest,
  nic: string,
): Promise<Readonly<Record<string, string>>> {
  const host = await openLinuxHost();
  const device = await host.openDevice('/dev/fwctl/fwctl0', nic);
  if ('code' in device) return { open: device.code };
  const ok = Buffer.alloc(16);
  ok.writeUInt16BE(0x100, 0); // QUERY_HCA_CAP
  ok.writeUInt16BE(1, 6);
  const opcode = (number: number): Buffer => {
    const command = Buffer.from(ok);
    command.writeUInt16BE(number, 0);
    return command;
  };
  const ask = async (asked: Partial<Asked>): Promise<string> => {
    const { request = abi.FWCTL_RPC, command = ok, room = 0x1010, tail = Buffer.alloc(0), ...fields } = asked;
    const out = Buffer.alloc(Math.max(room, 16));
    const rpc = { size: abi.fwctl_rpc.size, scope: 0, in_len: command.length, out_len: room, ...fields };
    const bytes = Buffer.concat([abi.fwctl_rpc.encode(rpc), tail]);
    const answer = await device.ioctl(request, bytes, [
      { offset: abi.fwctl_rpc.offsets.in, target: Buffer.from(command) },
      { offset: abi.fwctl_rpc.offsets.out, target: out },
    ]);
    return answer === 0 ? 'ok' : answer.code;
  };
  const tooLong = (2 << 20) + 1;
  const answers = {
    QUERY_HCA_CAP: await ask({}),
    QUERY_VUID: await ask({ command: opcode(0xb22), room: 192 }),
    SET_HCA_CAP: await ask({ command: opcode(0x109) }),
    'a command that the driver keeps back (CREATE_MKEY)': await ask({ command: opcode(0x200) }),
    'a command for debugging, at the scope of configuration': await ask({ command: opcode(0x203) }),
    'a command that there is not': await ask({ command: opcode(0xfff) }),
    'a command shorter than its header': await ask({ command: Buffer.alloc(8) }),
    'room for less than the header of an answer': await ask({ room: 8 }),
    'a command that is too long': await ask({ in_len: tooLong }),
    'room for an answer that is too long': await ask({ out_len: tooLong }),
    'the highest scope': await ask({ scope: 3 }),
    'a scope that there is not': await ask({ scope: 4 }),
    'a struct that is too short': await ask({ size: 24 }),
    'a longer struct with nothing in it': await ask({ size: 40, tail: Buffer.alloc(8) }),
    'a longer struct with something in it': await ask({ size: 40, tail: Buffer.alloc(8, 1) }),
    'another ioctl of fwctl': await ask({ request: 0x9a07 }),
    'an ioctl of somebody else': await ask({ request: 0x1234 }),
  };
  drivers.unbind(nic);
  const after = {
    'after its NIC was unbound': await ask({}),
    'after that, a struct that is too short': await ask({ size: 8 }),
  };
  await device.close();
  await host.close();
  return { ...answers, ...after };
}
