// A PCI function as the server sees it: configuration space, BARs, interrupt vectors, reset. What it does inside is its own affair.
import type { DmaMap } from '../vfio-user/dma-map.ts';
import type { Interrupts } from '../vfio-user/interrupts.ts';
import type { ConfigSpace } from './config-space.ts';

/** What a function may do to the machine that it is plugged into. Empty while no machine is connected. */
export interface Slot {
  readonly dma: DmaMap;
  readonly interrupts: Interrupts;
}

/** Memory that the guest reads and writes one access at a time. Accesses lie inside it. */
export interface Bar {
  readonly size: number;
  read(offset: number, length: number): Buffer;
  write(offset: number, data: Buffer): void;
}

export interface PciFunction {
  /** As the tray calls it: nic0, dma0, gpu0. */
  readonly name: string;
  readonly config: ConfigSpace;
  /** By BAR number. */
  readonly bars: ReadonlyMap<number, Bar>;
  readonly vectors: number;
  /** As after power-on; called when the machine resets it, when a machine connects and when it has gone. */
  reset(): void;
}
