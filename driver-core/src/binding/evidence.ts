// Which DMA function belongs to which NIC, and how that is known: the kernel's word before the firmware's, the firmware's before the VPD's. Pure.
// Whether the pair is any good: path/checks.ts.
import { refused } from '../host/host.ts';
import type { Evidence } from '../path/path.ts';
import type { DmaSeen, NicSeen, VpdSeen } from '../path/snapshot.ts';
import { DMA_DRIVERS } from '../pci/ids.ts';
import type { Vpd } from '../pci/vpd.ts';
import { VpdError } from '../pci/vpd.ts';
import { meaning } from '../verbs/errors.ts';
import { sameVuid } from './vuid.ts';

export interface Pairing {
  readonly nic: NicSeen;
  /** The one DMA function that the evidence leaves; undefined for none and for several. */
  readonly dma: DmaSeen | undefined;
  readonly evidence: Evidence | undefined;
  /** DMA functions whose VUID (VPD VU) is the one that the NIC's firmware names: the rule by which the kernel pairs. */
  readonly byFirmware: readonly DmaSeen[];
  /** DMA functions with the NIC's own serial (VPD V3). */
  readonly byVpd: readonly DmaSeen[];
  /** Those that the best evidence names and that nothing better rules out; more than one means that nobody can tell. */
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
  const byFirmware = namedByFirmware(nic, dmas);
  const seen = { nic, byFirmware, byVpd };
  const answer = nic.kernel?.answer;
  if (answer?.dma !== undefined) {
    const dma = dmas.find(({ fn }) => fn.address === answer.dma);
    return { ...seen, dma, evidence: dma && 'KernelIoctl', candidates: [] };
  }
  if (byFirmware.length > 0) return { ...seen, ...only(byFirmware, 'FirmwareVuid') };
  // The kernel pairs only functions that are bound, and only by VUID: after its ENODEV what is bound cannot be the one, and after the
  // firmware's word a function of another VUID cannot.
  const possible = byVpd.filter((dma) => !(answer && isBound(dma)) && !hasOtherVuid(nic, dma));
  return { ...seen, ...only(possible, 'VpdV3') };
}

function only(candidates: readonly DmaSeen[], evidence: Evidence): Pick<Pairing, 'dma' | 'evidence' | 'candidates'> {
  const dma = candidates.length === 1 ? candidates[0] : undefined;
  return { dma, evidence: dma && evidence, candidates };
}

function namedByFirmware({ firmware }: NicSeen, dmas: readonly DmaSeen[]): DmaSeen[] {
  const vuid = firmware?.vuid;
  return vuid === undefined ? [] : dmas.filter((dma) => sameVuid(vuidOf(dma.vpd), vuid));
}

function hasOtherVuid({ firmware }: NicSeen, dma: DmaSeen): boolean {
  return firmware?.vuid !== undefined && vuidOf(dma.vpd) !== undefined;
}

/**
 * What the kernel's answer leaves open and the firmware may answer, if anything. On a healthy path that is nothing, so that the firmware is left
 * alone; nor is there a question to a device that hangs or has just gone.
 */
export function openQuestion({ nic, dma, byVpd }: Omit<Pairing, 'unclaimed'>): string | undefined {
  const { kernel } = nic;
  if (kernel === undefined) return 'the kernel could not be asked';
  if (kernel.answer === undefined)
    return isUnreachable(kernel.refusal) ? undefined : 'the kernel has not said which DMA function it pairs';
  if (kernel.answer.dma === undefined) return 'the kernel pairs no DMA function';
  if (kernel.refusal?.call === 'REG_DMABUF_MR') return 'the registration was refused';
  return dma && byVpd.length > 0 && !byVpd.includes(dma) ? 'the VPD names another DMA function' : undefined;
}

const UNREACHABLE: ReadonlySet<string | undefined> = new Set(['DeviceUnresponsive', 'WaitingForDriver']);

function isUnreachable(refusal: Parameters<typeof meaning>[0] | undefined): boolean {
  return UNREACHABLE.has(refusal && meaning(refusal)?.reason);
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
