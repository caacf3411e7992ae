// What one round saw, as plain data: made by observe.ts, judged by assess.ts. Nothing here is concluded yet.
import type { Errno } from '../host/host.ts';
import type { Malformed } from '../host/malformed.ts';
import type { Attachment, PciFunction } from '../pci/functions.ts';
import type { Missing } from '../pci/config-space.ts';
import type { NicAttachment } from '../pci/nic.ts';
import type { Vpd, VpdError } from '../pci/vpd.ts';
import type { Refusal } from '../verbs/errors.ts';
import type { Capabilities } from '../verbs/firmware.ts';
import type { VerificationLevel } from './path.ts';

/** An errno: the file could not be read. A VpdError: it was read and is no VPD. Undefined: there was no need. */
export type VpdSeen = Vpd | VpdError | Errno | undefined;

/** What the kernel said about a NIC's pairing. */
export interface KernelSeen {
  /** Which DMA function it has paired with the NIC, undefined for none (ENODEV). No answer at all where a refusal came first. */
  readonly answer: { readonly dma: string | undefined } | undefined;
  /** The first call that was refused, if any; ENODEV of the pairing itself is an answer and not a refusal. */
  readonly refusal: Refusal | undefined;
  readonly verified: VerificationLevel;
}

export interface NicSeen extends NicAttachment {
  readonly model: string | undefined;
  readonly linkLayer: 'InfiniBand' | 'Ethernet' | undefined;
  /** Such as ACTIVE; undefined without an RDMA device. */
  readonly port: string | Errno | undefined;
  readonly defaultRoute: boolean;
  /** Its own, or its PF's for a VF or SF. */
  readonly vpd: VpdSeen;
  /** Undefined: there was no node to ask, or no need. */
  readonly kernel: KernelSeen | undefined;
  /** Undefined: there was no question to it. */
  readonly firmware: FirmwareSeen | undefined;
}

/** What a NIC's firmware said of itself. What was refused is unknown, never "no". */
export interface FirmwareSeen {
  /** Why it was asked. */
  readonly question: string;
  readonly capabilities: Capabilities | undefined;
  /** Of the DMA function that it belongs with; undefined too where its capabilities are off. */
  readonly vuid: string | undefined;
  /** By each way that was tried. */
  readonly refusals: readonly Refusal[];
}

export interface DmaSeen extends Attachment {
  readonly fn: PciFunction;
  /** Another one each time a driver takes the function; undefined while none has it. */
  readonly incarnation: string | undefined;
  readonly vpd: VpdSeen;
}

export interface GpuSeen extends Attachment {
  readonly fn: PciFunction;
}

/** The ACS control bits of a port, or why they are not known. */
export type AcsSeen = number | Missing | Errno;

export interface Snapshot {
  /** Every PCI function of the node. */
  readonly functions: readonly PciFunction[];
  readonly nics: readonly NicSeen[];
  readonly dmas: readonly DmaSeen[];
  readonly gpus: readonly GpuSeen[];
  /** By the address of each port that has a part in this (pci/ports.ts). */
  readonly acs: ReadonlyMap<string, AcsSeen>;
  /** Asked where NIC and GPU share a switch. Undefined: not asked, not readable, or some have it and some not. */
  readonly nicsHaveAts: boolean | undefined;
  /** `rdma system`: false when every RDMA device belongs to one network namespace; undefined where ib_core does not say. */
  readonly rdmaNamespacesShared: boolean | undefined;
  /** What was passed over for not being what the kernel writes. */
  readonly malformed: readonly Malformed[];
}
