// The VPD of a DMA function as the kernel takes it and as driver-core reads it.

import { isReadable, vuidOf } from '../../../driver-core/src/binding/evidence.ts';
import { sameVuid } from '../../../driver-core/src/binding/vuid.ts';
import type { Host } from '../../../driver-core/src/host/host.ts';
import { Observer } from '../../../driver-core/src/path/observe.ts';

export interface VpdAnswers {
  /** mlx5_ib takes no function without keyword VU. */
  readonly driver: string | undefined;
  /** Whether the kernel pairs the NIC with it. */
  readonly kernelPairs: boolean;
  /** Whether driver-core finds a keyword VU. */
  readonly hasVuid: boolean;
  /** Whether driver-core finds the NIC's own VUID there. */
  readonly hasThisVuid: boolean;
}

export async function askVpd(host: Host, nic: string, dma: string, vuid: string): Promise<VpdAnswers> {
  const { nics, dmas } = await new Observer(host).observe({ verification: 'None' });
  const seen = dmas.find(({ fn }) => fn.address === dma);
  const found = isReadable(seen?.vpd) ? vuidOf(seen.vpd) : undefined;
  return {
    driver: seen?.driver,
    kernelPairs: nics.find(({ fn }) => fn.address === nic)?.kernel?.answer?.dma === dma,
    hasVuid: found !== undefined,
    hasThisVuid: sameVuid(found, vuid),
  };
}
