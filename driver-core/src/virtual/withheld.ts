// What could not be had when a dump was taken cannot be had of the machine that is made from it: the calls, files and nodes that were refused then.
import { refused } from '../host/host.ts';
import { MLX5_CMD_OPCODE_QUERY_VUID } from '../verbs/firmware-abi.ts';
import type { DumpedFunction } from './fixture.ts';
import type { PciFunction } from './hardware.ts';
import { errno } from './kernel/errno.ts';
import type { Kernel } from './kernel/kernel.ts';
import { readOnlyKeyword } from './vpd.ts';

type Extension = NonNullable<DumpedFunction['extension']>;

/** As the kernel's side calls them, and as they stand in a dump. */
const CALLS = [
  ['open', 'open'],
  ['get-context', 'getContext'],
  ['path', 'path'],
  ['devx', 'devx'],
] as const;

/** After the boot: drivers were bound when the dump was taken, whatever was refused to others then. */
export function withhold(kernel: Kernel, functions: readonly DumpedFunction[]): void {
  for (const { address, extension } of functions) {
    const one = kernel.hardware.get(address);
    if (one && extension) withholdOf(kernel, one, extension);
    else if (one?.firmware && isUnknown(one)) kernel.refuse(one, 'devx', errno('EPROTONOSUPPORT', 'not in the dump'));
  }
}

/** A dump of rdma_topo without the serial of a PF: what its firmware can is not known, so nobody may say that data direct is off. */
function isUnknown({ vpd, physfn }: PciFunction): boolean {
  const serial = vpd && readOnlyKeyword(vpd, 'V3');
  return physfn === undefined && (serial === undefined || refused(serial));
}

function withholdOf(kernel: Kernel, one: PciFunction, extension: Extension): void {
  const { vuid, pairedWith, uverbs, refused: refusals } = extension;
  // What could not be read is kept for the driver, should it take the function again.
  if (refusals?.vpd) one.vpdRefusal = refusals.vpd;
  else one.vpd = one.intactVpd;
  const device = kernel.rdmaDeviceOf(one);
  if (device && uverbs === null) kernel.setUverbs(device, false);
  if (!one.firmware) return;
  if (pairedWith !== undefined && vuid !== undefined) one.firmware.dataDirectVuid = vuid ?? undefined;
  one.firmware.portRefusal = refusals?.portState;
  if (refusals?.queryVuid) one.firmware.refusesUsers.set(MLX5_CMD_OPCODE_QUERY_VUID, refusals.queryVuid);
  for (const [call, of] of CALLS) {
    const refusal = refusals?.[of];
    if (refusal) kernel.refuse(one, call, refusal);
  }
}
