// Which DMA function belongs to which NIC, and how that is known: the kernel's word before the VPD's. Pure. Whether the pair is any good: path/assess.ts.
import { refused } from '../host/host.ts';
import type { Evidence } from '../path/path.ts';
import type { DmaSeen, NicSeen, VpdSeen } from '../path/snapshot.ts';
import { DMA_DRIVERS } from '../pci/ids.ts';
import type { Vpd } from '../pci/vpd.ts';
import { VpdError } from '../pci/vpd.ts';

export interface Pairing {
  readonly nic: NicSeen;
  /** The one DMA function that the evidence leaves; undefined for none and for several. */
  readonly dma: DmaSeen | undefined;
  readonly evidence: Evidence | undefined;
  /** DMA functions with the NIC's own serial (VPD V3). */
  readonly byVpd: readonly DmaSeen[];
  /** Those among byVpd that the kernel's answer does not rule out; more than one means that nobody can tell. */
  readonly candidates: readonly DmaSeen[];
  /** DMA functions that no NIC lays claim to, so that any of them may be this NIC's. Empty where `dma` is known. */
  readonly unclaimed: readonly DmaSeen[];
}

/** One pairing for each NIC, in their order. */
export function pair(nics: readonly NicSeen[], dmas: readonly DmaSeen[]): Pairing[] {
  const own = nics.map((nic) => pairOne(nic, dmas));
  const claimed = new Set(own.flatMap(({ dma, candidates }) => [dma, ...candidates]));
  const unclaimed = dmas.filter((dma) => !claimed.has(dma));
  return own.map((pairing) => ({ ...pairing, unclaimed: pairing.dma ? [] : unclaimed }));
}

function pairOne(nic: NicSeen, dmas: readonly DmaSeen[]): Omit<Pairing, 'unclaimed'> {
  const byVpd = sameSerial(nic, dmas);
  const answer = nic.kernel?.answer;
  if (answer?.dma !== undefined) {
    const dma = dmas.find(({ fn }) => fn.address === answer.dma);
    return { nic, dma, evidence: dma && 'KernelIoctl', byVpd, candidates: [] };
  }
  // The kernel pairs only functions that are bound: after its ENODEV what is bound cannot be the one.
  const candidates = answer ? byVpd.filter((dma) => !isBound(dma)) : byVpd;
  const dma = candidates.length === 1 ? candidates[0] : undefined;
  return { nic, dma, evidence: dma && 'VpdV3', byVpd, candidates };
}

/** Many functions share one serial: both ports of an adapter, and its DMA functions. It names the adapter, not always one function. */
function sameSerial(nic: NicSeen, dmas: readonly DmaSeen[]): DmaSeen[] {
  const serial = serialOf(nic.vpd);
  return serial === undefined ? [] : dmas.filter(({ vpd }) => serialOf(vpd) === serial);
}

export function isBound({ driver }: DmaSeen): boolean {
  return driver !== undefined && DMA_DRIVERS.includes(driver);
}

/** mlx5_core strips trailing blanks before it compares (drivers/net/ethernet/mellanox/mlx5/core/sh_devlink.c); otherwise V3 is opaque text. */
export function serialOf(vpd: VpdSeen): string | undefined {
  return keyword(vpd, 'V3')?.trimEnd() || undefined;
}

export function vuidOf(vpd: VpdSeen): string | undefined {
  return keyword(vpd, 'VU');
}

function keyword(vpd: VpdSeen, name: string): string | undefined {
  return isReadable(vpd) ? vpd.keywords.get(name) : undefined;
}

export function isReadable(vpd: VpdSeen): vpd is Vpd {
  return vpd !== undefined && !refused(vpd) && !(vpd instanceof VpdError);
}
