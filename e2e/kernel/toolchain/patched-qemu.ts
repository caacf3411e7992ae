// A copy of QEMU whose bridges carry the ids of a real machine's. QEMU has no option for them: vendor and device id of a
// bridge model are one constant in its class_init, so the constant is changed in the copy.

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Part } from '../../rig/part.ts';
import { kernelError } from '../errors.ts';
import { qemu } from '../versions.ts';
import { programName } from './qemu.ts';

interface Id {
  readonly vendor: number;
  readonly device: number;
}

export interface Patch {
  /** QEMU's name for the model. */
  readonly model: string;
  readonly from: Id;
  readonly to: Id;
}

/** As in driver-core's fixture one-domain: a root port of a Grace CPU, and the switch inside a ConnectX-8. */
const graceRootPort: Id = { vendor: 0x10de, device: 0x22b1 };
const connectXSwitch: Id = { vendor: 0x15b3, device: 0x197c };

/** hw/pci-bridge/{gen_pcie_root_port,xio3130_upstream,xio3130_downstream}.c. */
export const patches: readonly Patch[] = [
  { model: 'pcie-root-port', from: { vendor: 0x1b36, device: 0x000c }, to: graceRootPort },
  { model: 'x3130-upstream', from: { vendor: 0x104c, device: 0x8232 }, to: connectXSwitch },
  { model: 'xio3130-downstream', from: { vendor: 0x104c, device: 0x8233 }, to: connectXSwitch },
];

/** `program` is QEMU as it was fetched. */
export function patchedQemuPart(program: string): Part {
  return {
    name: 'qemu-nvidia',
    version: qemu.series,
    about: `giving a copy of QEMU ${qemu.series} the bridge ids of NVIDIA's machines`,
    inputs: async () => [program, JSON.stringify(patches)],
    async build(directory) {
      const copy = join(directory, programName);
      await copyFile(program, copy); // with its mode
      await writeFile(copy, patched(await readFile(program), patches));
    },
  };
}

/** Refuses where a constant is not there exactly once: then this is another QEMU, and a guess could change anything. */
export function patched(program: Buffer, changes: readonly Patch[]): Buffer {
  const changed = Buffer.from(program);
  for (const { model, from, to } of changes) {
    const places = findAll(program, constant(from));
    const [place] = places;
    if (places.length !== 1 || place === undefined) {
      throw kernelError('QEMU_PATCH_REFUSED', { model, found: places.length });
    }
    constant(to).copy(changed, place);
  }
  return changed;
}

/** offsetof(PCIDeviceClass, vendor_id) as it stands in the store instruction before the value. */
const classOffset = Buffer.from([0xd8, 0, 0, 0]);

function constant({ vendor, device }: Id): Buffer {
  const ids = Buffer.alloc(4);
  ids.writeUInt16LE(vendor, 0);
  ids.writeUInt16LE(device, 2);
  return Buffer.concat([classOffset, ids]);
}

function findAll(within: Buffer, wanted: Buffer): number[] {
  const places: number[] = [];
  for (let at = within.indexOf(wanted); at >= 0; at = within.indexOf(wanted, at + 1)) places.push(at);
  return places;
}
