// Which DMA function a NIC has by the kernel's word and by driver-core's registry, side by side.

import { DataDirect } from '../../../driver-core/src/binding/data-direct.ts';
import type { Host } from '../../../driver-core/src/host/host.ts';
import { Context } from '../../../driver-core/src/verbs/context.ts';
import { Refusal } from '../../../driver-core/src/verbs/errors.ts';
import { code, must } from './answers.ts';
import { drivers } from './drivers.ts';

export interface Agreement {
  /** Address, or errno. */
  readonly kernel: string;
  /** Address, or `none`. */
  readonly driverCore: string;
}

export async function agreementOn(host: Host, nics: readonly string[]): Promise<Agreement[]> {
  const dataDirect = new DataDirect(host);
  const agreements: Agreement[] = [];
  for (const nic of nics) {
    const kernel = await byKernel(host, nic);
    const open = await dataDirect.openNic(nic);
    agreements.push({ kernel, driverCore: open.dma ?? 'none' });
    await open.close();
  }
  return agreements;
}

async function byKernel(host: Host, nic: string): Promise<string> {
  const context = must(await Context.open(host, drivers.uverbsOf(nic) ?? '', nic));
  const path = await context.dataDirectSysfsPath();
  await context.close();
  return path instanceof Refusal ? code(path) : path.slice(path.lastIndexOf('/') + 1);
}
