// From another plug-in's device id to a GPU's PCI address, by what can be known without that vendor's library. What cannot be known
// stays unknown: MIG slices, ids that are mere numbers, and NVIDIA GPUs whose driver has not been used since it was loaded.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { AddressOfGpu } from './gpu-view.ts';

/** Made by nvidia.ko, one directory a GPU; it shows in every container's own /proc. */
const NVIDIA_PROC = '/proc/driver/nvidia/gpus';
/** As sysfs writes it, alone or inside a longer id. AMD's plug-in uses such ids. */
const PCI_ADDRESS = /(?<![0-9a-f])[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?![0-9a-f])/i;
/** Of a shared device, `::0` (NVIDIA's time-slicing) and `::1` (ours). */
const REPLICA = /::\d+$/;

export class GpuNames {
  readonly #nvidiaProc: string;
  /** UUID to address. Those of a node do not change while its driver is loaded. */
  #uuids = new Map<string, string>();

  constructor(nvidiaProc = NVIDIA_PROC) {
    this.#nvidiaProc = nvidiaProc;
  }

  /** `known`: PCI addresses of the node's GPUs. Every other answer is none. */
  addressOf(known: ReadonlySet<string>): AddressOfGpu {
    return (_resource, id) => {
      const name = id.replace(REPLICA, '');
      const address =
        PCI_ADDRESS.exec(name)?.[0].toLowerCase() ?? (name.startsWith('GPU-') ? this.#byUuid(name) : undefined);
      return address !== undefined && known.has(address) ? address : undefined;
    };
  }

  #byUuid(uuid: string): string | undefined {
    if (!this.#uuids.has(uuid)) this.#uuids = this.#read();
    return this.#uuids.get(uuid);
  }

  /** `GPU UUID:  GPU-…` in each GPU's `information`; question marks before its first use. */
  #read(): Map<string, string> {
    try {
      return new Map(
        readdirSync(this.#nvidiaProc).flatMap((address) => {
          const text = readFileSync(join(this.#nvidiaProc, address, 'information'), 'utf8');
          const uuid = /^GPU UUID:\s*(GPU-[0-9a-f-]+)\s*$/m.exec(text)?.[1];
          return uuid === undefined ? [] : [[uuid, address.toLowerCase()] as const];
        }),
      );
    } catch {
      return new Map(); // no NVIDIA driver here, or a GPU that has just gone
    }
  }
}
