// What a NIC is to everyone above: a PCI function that mlx5_core drives, or an SF below one, and what is attached to it.
import { chargedAt } from './address.ts';
import type { Attachment, NicDevices, PciFunction, Virtuality } from './functions.ts';
import type { SubFunction } from './sub-functions.ts';

export interface NicAttachment extends Attachment, Virtuality, NicDevices {
  /** The PCI address; of an SF its PF's and its number: 0000:03:00.0/sf88. */
  readonly id: string;
  /** The PCI function; an SF's is its PF. */
  readonly fn: PciFunction;
  /** Of an SF only. */
  readonly subFunction: SubFunction | undefined;
}

/** What its driver holds, below the sysfs root: the PCI function's directory, or the SF's in there. */
export function pathOfNic({ fn, subFunction }: Pick<NicAttachment, 'fn' | 'subFunction'>): string {
  return (subFunction ?? fn).path;
}

/** Whom calls are charged to that reach it: an SF has a command interface of its own, so it does not hold up its PF. */
export function chargedTo(nic: Pick<NicAttachment, 'fn' | 'subFunction'>): string {
  return nic.subFunction ? chargedAt(nic.subFunction.path) : nic.fn.address;
}

/** SFs have no driver of the PCI bus; mlx5_core calls the one that it has for them by their name (sf/dev/driver.c). */
const DRIVERS: ReadonlySet<string | undefined> = new Set(['mlx5_core', 'mlx5_core.sf']);

export function hasNicDriver({ driver }: Pick<NicAttachment, 'driver'>): boolean {
  return DRIVERS.has(driver);
}
