// What can be wrong with a path, as a table: one row a reason, and the sentence that says it. A reason's state and mend stand in crds;
// a new reason is a row here, a row there and a section in docs/troubleshooting.md.
import type { PathReason } from '@data-direct/crds';

import type { Pairing } from '../binding/evidence.ts';
import { isBound, isReadable, serialOf } from '../binding/evidence.ts';
import type { Errno } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { PciFunction } from '../pci/functions.ts';
import { DMA_DRIVERS, mayHaveDataDirect } from '../pci/ids.ts';
import { hasNicDriver } from '../pci/nic.ts';
import type { Platform } from '../pci/topology.ts';
import { VpdError } from '../pci/vpd.ts';
import { meaning, unheard } from '../verbs/errors.ts';
import type { PortAcs } from './acs.ts';
import type { DmaSeen, GpuSeen, NicSeen, VpdSeen } from './snapshot.ts';

/** Everything that bears on one path. */
export interface Case extends Pairing {
  /** As a sentence calls the NIC: mlx5_0 (0000:03:00.0). */
  readonly called: string;
  readonly platform: Platform;
  readonly gpus: readonly GpuSeen[];
  /** What shares the root port of the DMA function and is neither bridge nor part of a GPU. */
  readonly strangers: readonly PciFunction[];
  /** The ports that decide how traffic runs between DMA function and GPU. */
  readonly ports: readonly PortAcs[];
  /** All of the node. */
  readonly dmas: readonly DmaSeen[];
  readonly rdmaNamespacesShared: boolean | undefined;
}

interface Check {
  readonly reason: PathReason;
  /** The sentence where the check fails; undefined where it holds. */
  readonly fails: (path: Case) => string | undefined;
}

/**
 * The first that fails names the reason. Everything that makes the NIC itself unusable comes first, because a Preferred policy hands out
 * what is merely Degraded; within each half the order is that in which a person should mend.
 */
export const CHECKS: readonly Check[] = [
  { reason: 'WaitingForDriver', fails: withoutRdmaDevice },
  { reason: 'RdmaNamespaceExclusive', fails: keptByNamespace },
  refusedAs('DeviceUnresponsive'),
  { reason: 'DeviceUnresponsive', fails: portUnresponsive },
  refusedAs('WaitingForDriver'),
  { reason: 'VerbsNodeMissing', fails: withoutVerbsNode },
  refusedAs('VerbsNodeMissing'),
  { reason: 'PortDown', fails: portDown },

  { reason: 'NotNeeded', fails: reachesGpuDirectly },
  { reason: 'NoDmaFunction', fails: cannotHaveDmaFunction },
  refusedAs('KernelTooOld'),
  refusedAs('KernelRefused'),
  { reason: 'FunctionDisabled', fails: capabilityOff },
  { reason: 'PairingAmbiguous', fails: fitsSeveral },
  { reason: 'VpdUnreadable', fails: vpdUnreadable },
  { reason: 'DmaDriverNotBound', fails: driverNotBound },
  { reason: 'EvidenceConflict', fails: evidenceContradicts },
  { reason: 'PairingUnverified', fails: kernelNotHeard },
  { reason: 'FunctionDisabled', fails: switchedOff },
  { reason: 'NoDmaFunction', fails: withoutDmaFunction },
  refusedAs('RegistrationFailed'),
  { reason: 'GpuNotFound', fails: withoutGpu },
  { reason: 'UnexpectedTopology', fails: unexpectedNeighbours },
  { reason: 'IommuGroupMismatch', fails: iommuGroupsDiffer },
  { reason: 'AcsMisconfigured', fails: acsDiffers },
];

export function judge(path: Case): { reason: PathReason; message: string } {
  for (const { reason, fails } of CHECKS) {
    const message = fails(path);
    if (message !== undefined) return { reason, message };
  }
  const { called, dma, gpus } = path;
  return { reason: 'Paired', message: `${called} reaches GPU ${names(gpus)} through DMA function ${address(dma)}` };
}

/** Rows that pass on what verbs/errors.ts says of the call that the kernel refused. */
function refusedAs(reason: PathReason): Check {
  return { reason, fails: ({ nic }) => (refusalReason(nic) === reason ? refusalSentence(nic) : undefined) };
}

function refusalReason({ kernel }: NicSeen): PathReason | undefined {
  if (!kernel?.refusal) return undefined;
  const unknown = kernel.answer?.dma === undefined ? 'KernelRefused' : 'RegistrationFailed';
  return meaning(kernel.refusal)?.reason ?? unknown;
}

function refusalSentence(nic: NicSeen): string | undefined {
  const { kernel, uverbs } = nic;
  if (!kernel?.refusal) return undefined;
  const { call, errno } = kernel.refusal;
  const says = crossingSays(nic) ?? meaning(kernel.refusal)?.says ?? 'an answer that has no meaning at this call';
  return `${call} on /dev/infiniband/${uverbs} answered ${numbered(errno)}: ${says}`;
}

/** The errno has several causes; the firmware knows one of them (hw/mlx5/mr.c, reg_create_crossing_vhca_mr). */
function crossingSays({ kernel, firmware }: NicSeen): string | undefined {
  const capabilities = firmware?.capabilities;
  if (!capabilities || kernel?.refusal?.call !== 'REG_DMABUF_MR' || kernel.refusal.errno.code !== 'EOPNOTSUPP')
    return undefined;
  return capabilities.crossingVhcaMkey
    ? 'the firmware has the capability crossing_vhca_mkey, so it is not that which is missing'
    : 'the firmware shows capability crossing_vhca_mkey as 0, without which no registration for data direct can be made';
}

function withoutRdmaDevice({ nic, called }: Case): string | undefined {
  if (nic.rdmaDevice !== undefined) return undefined;
  if (hasNicDriver(nic))
    return `${called} has driver ${nic.driver} but no RDMA device: mlx5_ib is not loaded or still probing`;
  return `${called} has ${driverOf(nic)}; expected mlx5_core${nic.function === 'SF' ? '.sf' : ''}`;
}

/** The device cgroup answers EPERM too; only ib_core's own word tells the two apart. */
function keptByNamespace({ nic, called, rdmaNamespacesShared }: Case): string | undefined {
  const refusal = nic.kernel?.refusal;
  const kept = refusal?.call === 'open' && refusal.errno.code === 'EPERM' && rdmaNamespacesShared === false;
  return kept
    ? `${called} belongs to another network namespace: RDMA devices are in exclusive mode on this node`
    : undefined;
}

function portUnresponsive({ nic: { port }, called }: Case): string | undefined {
  const blocked = refused(port) && (port.code === 'ETIMEDOUT' || port.code === 'EBUSY');
  return blocked ? `the port state of ${called} could not be read in time: ${numbered(port)}` : undefined;
}

function withoutVerbsNode({ nic, called }: Case): string | undefined {
  return nic.uverbs === undefined ? `${called} has no uverbs node: ib_uverbs is not loaded` : undefined;
}

function portDown({ nic: { port, linkLayer }, called }: Case): string | undefined {
  if (port === 'ACTIVE') return undefined;
  if (port === undefined) return `${called} has no port`;
  if (refused(port)) return `the port state of ${called} cannot be read: ${numbered(port)} at ${port.what}`;
  const hint =
    port === 'INIT' && linkLayer === 'InfiniBand' ? ': the link is up, but no subnet manager has configured it' : '';
  return `the port of ${called} is ${port}, not ACTIVE${hint}`;
}

function reachesGpuDirectly({ called, platform }: Case): string | undefined {
  if (platform === 'Inline') return `${called} needs no second path: on this platform NICs and GPUs share a switch`;
  if (platform === 'Numa')
    return `${called} needs no second path: on this platform GPUs hang directly below their root ports`;
  return undefined;
}

function cannotHaveDmaFunction({ nic, called, dma, dmas }: Case): string | undefined {
  if (dma) return undefined;
  if (!mayHaveDataDirect(nic.model)) return `${called} is a ${nic.model}, a model without DMA function`;
  return dmas.length === 0 ? `${called} has no DMA function: there is no 15b3:2100 function on this node` : undefined;
}

function fitsSeveral({ nic, called, candidates, byFirmware }: Case): string | undefined {
  if (candidates.length < 2) return undefined;
  if (byFirmware.length > 1)
    return `the firmware of ${called} names VUID ${nic.firmware?.vuid}, which ${names(byFirmware)} have alike`;
  return `${called} has the same serial (VPD V3) as ${names(candidates)}, and the kernel has not said which is its own`;
}

/** Only where the VPD was needed: what the kernel pairs stays paired. */
function vpdUnreadable({ nic, called, dma, unclaimed }: Case): string | undefined {
  if (dma) return undefined;
  const own = unusable(nic.vpd);
  if (own !== undefined) return `the VPD of ${called} cannot be used: ${own}`;
  const others = unclaimed.flatMap(({ fn, vpd }) => {
    const why = unusable(vpd);
    return why === undefined ? [] : [`${fn.address} (${why})`];
  });
  if (others.length === 0) return undefined;
  return `${called} has no known DMA function, and the VPD of an unpaired one cannot be used: ${others.join(', ')}`;
}

/** Errnos that tell of permission or absence. All others, and bytes that are no VPD, tell of the device. */
const WITHHELD: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'ENOENT']);

/** Why it does not give the serial, where that is the device's fault. */
function unusable(vpd: VpdSeen): string | undefined {
  if (vpd === undefined) return undefined;
  if (refused(vpd)) return WITHHELD.has(vpd.code) ? undefined : `${numbered(vpd)} at ${vpd.what}`;
  if (vpd instanceof VpdError) return vpd.message;
  return serialOf(vpd) === undefined ? vpd.broken?.message : undefined;
}

function driverNotBound({ nic, called, dma, unclaimed }: Case): string | undefined {
  const expected = `expected ${DMA_DRIVERS.join(' or ')}`;
  if (dma)
    return isBound(dma) ? undefined : `DMA function ${address(dma)} of ${called} has ${driverOf(dma)}; ${expected}`;
  // Without VPD the unbound functions cannot be told apart, but one of them may be this NIC's.
  const unbound = unclaimed.filter((other) => !isBound(other) && !isReadable(other.vpd));
  if (!pairedWithNone(nic) || unbound.length === 0) return undefined;
  return `the kernel pairs ${called} with no DMA function, and ${names(unbound)}, not bound, may be its own; ${expected}`;
}

function kernelNotHeard({ nic, called, dma, evidence }: Case): string | undefined {
  const kept = refusalReason(nic) === 'PairingUnverified';
  const byFirmware = evidence === 'FirmwareVuid' && nic.kernel?.answer === undefined;
  if (!kept && !byFirmware && evidence !== 'VpdV3') return undefined;
  const why = refusalSentence(nic) ?? 'the kernel was not asked';
  return dma
    ? `only the ${byFirmware ? 'VUID of its firmware' : 'VPD'} pairs ${called} with ${address(dma)}: ${why}`
    : `nothing pairs ${called} with a DMA function: ${why}`;
}

/** The kernel looks at these two bits before it looks for a DMA function (hw/mlx5/main.c, mlx5_ib_data_direct_init). */
function capabilityOff({ nic, called }: Case): string | undefined {
  const capabilities = nic.firmware?.capabilities;
  if (!capabilities || nic.kernel?.answer?.dma !== undefined) return undefined;
  const what = `${nic.function} ${called}`;
  if (!capabilities.dataDirect) return `data direct is off for ${what}: its firmware shows capability data_direct as 0`;
  return capabilities.queryVuid
    ? undefined
    : `${what} cannot be paired: its firmware shows capability query_vuid as 0, so that the kernel cannot ask which DMA function is its own`;
}

/** What firmware left unsaid is no "no", but worth a word where nothing else is known. */
function unheardFirmware({ firmware }: NicSeen): string {
  const refusal = firmware?.vuid === undefined ? firmware?.refusals[0] : undefined;
  return refusal ? ` (its firmware could not be asked: ${unheard(refusal)})` : '';
}

/** Firmware leaves data direct off for a VF or SF until somebody switches it on (DOCA, doca_data_direct_ctl). */
function switchedOff({ nic, called, byVpd }: Case): string | undefined {
  const unknown = nic.firmware?.capabilities === undefined;
  const kind = nic.function;
  const off = kind !== 'PF' && unknown && pairedWithNone(nic) && byVpd.length > 0;
  return off
    ? `the kernel pairs ${kind} ${called} with no DMA function although ${names(byVpd)} of its PF is bound: data direct is off for this ${kind}${unheardFirmware(nic)}`
    : undefined;
}

function withoutDmaFunction({ nic, called, dma, byVpd, dmas }: Case): string | undefined {
  if (dma) return undefined;
  const named = nic.kernel?.answer?.dma;
  if (named !== undefined) return `the kernel pairs ${called} with ${named}, which sysfs does not show`;
  if (!pairedWithNone(nic)) return `${called} has no DMA function: none of ${names(dmas)} has its serial (VPD V3)`;
  const vuid = nic.firmware?.vuid;
  const hint =
    byVpd.length > 0 ? `; ${names(byVpd)} has its serial (VPD V3) but not the VUID that its firmware names` : '';
  return vuid === undefined
    ? `the kernel pairs ${called} with none of the DMA functions ${names(dmas)}${hint}${unheardFirmware(nic)}`
    : `${called} can have data direct, but none of the DMA functions ${names(dmas)} has the VUID ${vuid} that its firmware names${hint}`;
}

/** The kernel pairs at the probe; firmware and VPD may have changed since. */
function evidenceContradicts(path: Case): string | undefined {
  const { nic, called, dma, evidence, byFirmware, byVpd } = path;
  if (!dma) return undefined;
  if (pairedWithNone(nic))
    return `the kernel pairs ${called} with none, but the firmware names the VUID of ${address(dma)}, which is bound`;
  const who = evidence === 'KernelIoctl' ? 'the kernel pairs' : 'the firmware pairs';
  const others = [
    contradiction(dma, byFirmware, 'the VUID that its firmware names is'),
    contradiction(dma, byVpd, 'its serial (VPD V3) is'),
  ].filter((other) => other !== undefined);
  return others.length === 0 ? undefined : `${who} ${called} with ${address(dma)}, but ${others.join(', and ')}`;
}

function contradiction(dma: DmaSeen, named: readonly DmaSeen[], what: string): string | undefined {
  return named.length === 0 || named.includes(dma) ? undefined : `${what} that of ${names(named)}`;
}

function withoutGpu({ called, dma, gpus }: Case): string | undefined {
  return gpus.length === 0 ? `there is no GPU beside DMA function ${address(dma)} of ${called}` : undefined;
}

/** rdma_topo knows one GPU in a complex and nothing else (rdma-core, kernel-boot/rdma_topo). */
function unexpectedNeighbours({ dma, gpus, strangers: [stranger] }: Case): string | undefined {
  if (gpus.length > 1) return `${gpus.length} GPUs beside DMA function ${address(dma)}: ${names(gpus)}; expected one`;
  if (!stranger) return undefined;
  const ids = [stranger.vendor, stranger.device].map((id) => id.toString(16).padStart(4, '0')).join(':');
  return `${stranger.address} (${ids}) is beside DMA function ${address(dma)}; expected a GPU and nothing else`;
}

/** nvidia.ko compares the groups as pointers, so two functions without any group pass (kernel-open/nvidia/nv-pci.c). */
function iommuGroupsDiffer({ dma, gpus, ports }: Case): string | undefined {
  const other = gpus.find(({ iommuGroup }) => iommuGroup !== dma?.iommuGroup);
  if (!other) return undefined;
  const [ours, theirs] = [dma?.iommuGroup ?? 'none', other.iommuGroup ?? 'none'];
  const cause = wrongAcs(ports);
  return (
    `DMA function ${address(dma)} is in iommu group ${ours}, GPU ${other.fn.address} in ${theirs}: ` +
    `the GPU driver refuses such a pair with errno 524${cause === undefined ? '' : ` (${cause})`}`
  );
}

/** After the groups: those are seen without root, and decide whether registration works at all. */
function acsDiffers({ dma, ports, called }: Case): string | undefined {
  const wrong = wrongAcs(ports);
  return (
    wrong &&
    `traffic between DMA function ${address(dma)} of ${called} and its GPU does not turn in their switch: ${wrong}`
  );
}

function wrongAcs(ports: readonly PortAcs[]): string | undefined {
  const wrong = ports.filter(({ verdict }) => verdict === 'Wrong');
  if (wrong.length === 0) return undefined;
  return `ACS of ${wrong.map((port) => `${port.address} is ${port.found}, expected ${port.expected}`).join('; of ')}`;
}

function pairedWithNone({ kernel }: NicSeen): boolean {
  return kernel?.answer !== undefined && kernel.answer.dma === undefined;
}

function driverOf({ driver }: { readonly driver: string | undefined }): string {
  return driver === undefined ? 'no driver' : `driver ${driver}`;
}

function numbered({ code, number }: Errno): string {
  return `${code} (${number})`;
}

function address(dma: DmaSeen | undefined): string {
  return dma?.fn.address ?? 'none';
}

function names(seen: readonly { readonly fn: PciFunction }[]): string {
  return seen.map(({ fn }) => fn.address).join(', ');
}
