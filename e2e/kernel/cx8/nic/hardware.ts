// What the firmware has around it: DMA, interrupts, time and a log.
import type { DmaMap } from '../vfio-user/dma-map.ts';

/** Through which memory is reached: by keys of the ordinary kinds, and by keys with data_direct set. */
export interface Domains {
  /** The NIC's own. */
  readonly dma: DmaMap;
  /** That of its 15b3:2100 function. */
  readonly dataDirect: DmaMap;
}

export interface Hardware extends Domains {
  /** For what another queue pair reads or writes here; differs from the above by a fault alone. */
  remoteDomains(): Domains;
  interrupt(vector: number): void;
  /** Milliseconds; only goes forward. */
  now(): number;
  after(milliseconds: number, work: () => void): void;
  log(line: string): void;
}
