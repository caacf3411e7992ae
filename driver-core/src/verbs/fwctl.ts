// Firmware commands through fwctl (Linux 6.15, drivers/fwctl/mlx5), whose nodes only root may open. It works where a NIC has no RDMA device.
import type { Answer, Device, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import * as abi from './abi.ts';
import { Refusal } from './errors.ts';
import type { Firmware } from './firmware.ts';
import { refusedByFirmware } from './firmware.ts';

/** `name` such as fwctl0; `nic` is the PCI address that a blocked call is charged to. */
export async function openFwctl(host: Host, name: string, nic: string): Promise<Firmware | Refusal> {
  const device = await host.openDevice(`/dev/fwctl/${name}`, nic);
  if (refused(device)) return new Refusal('open', device);
  return {
    execute: (command, answerBytes) => execute(device, command, answerBytes),
    close: () => device.close(),
  };
}

async function execute(device: Device, command: Buffer, answerBytes: number): Promise<Answer<Buffer>> {
  const answer = Buffer.alloc(answerBytes);
  const request = abi.fwctl_rpc.encode({
    size: abi.fwctl_rpc.size,
    scope: abi.FWCTL_RPC_CONFIGURATION,
    in_len: command.length,
    out_len: answerBytes,
  });
  const done = await device.ioctl(abi.FWCTL_RPC, request, [
    { offset: abi.fwctl_rpc.offsets.in, target: command },
    { offset: abi.fwctl_rpc.offsets.out, target: answer },
  ]);
  if (refused(done)) return done;
  // fwctl takes a refusal for a delivered command: it is in the answer alone.
  return refusedByFirmware(answer) ?? answer;
}
