// What a path is: one NIC function, its DMA function and the GPUs beside that. Made by assess.ts, read by everyone above.
import type { PathReason, PathState } from '@data-direct/crds';

/** How the pairing is known, best first. */
export type Evidence = 'KernelIoctl' | 'FirmwareVuid' | 'VpdV3';

export type VerificationLevel = 'None' | 'Probe' | 'Registration';

/** A ConnectX PF, VF or SF. All addresses are PCI addresses as sysfs prints them. */
export interface NicFunction {
  /** An SF has none of its own: its PF's. */
  readonly address: string;
  readonly function: 'PF' | 'VF' | 'SF';
  /** What an SF is on its PF, and on the auxiliary bus: mlx5_core.sf.4, which may be another name each time. */
  readonly subFunction?: { readonly sfnum: number | undefined; readonly auxiliary: string };
  /** Such as ConnectX-8 or BlueField-3; undefined for a VF whose PF is not visible. */
  readonly model: string | undefined;
  /** RDMA device, such as mlx5_0. */
  readonly rdmaDevice: string | undefined;
  /** Device names under /dev/infiniband: uverbs0, and the umad nodes of its ports. */
  readonly uverbs: string | undefined;
  readonly umad: readonly string[];
  readonly netdevs: readonly string[];
  readonly linkLayer: 'InfiniBand' | 'Ethernet' | undefined;
  /** As the kernel says it: ACTIVE, DOWN, INIT, ARMED. */
  readonly portState: string | undefined;
  readonly driver: string | undefined;
  /** -1 in sysfs becomes undefined. */
  readonly numaNode: number | undefined;
  readonly iommuGroup: string | undefined;
  readonly defaultRoute: boolean;
}

/** 15b3:2100. */
export interface DmaFunction {
  readonly address: string;
  readonly driver: string | undefined;
  readonly vuid: string | undefined;
  readonly numaNode: number | undefined;
  readonly iommuGroup: string | undefined;
}

export interface GpuFunction {
  readonly address: string;
  readonly numaNode: number | undefined;
  readonly iommuGroup: string | undefined;
}

export interface Path {
  /** The NIC's PCI address; of an SF its PF's and its number: 0000:03:00.0/sf88. */
  readonly id: string;
  /** The RDMA device, or the id where there is none. */
  readonly name: string;
  readonly nic: NicFunction;
  readonly dma: DmaFunction | undefined;
  /** GPUs beside the DMA function. */
  readonly gpus: readonly GpuFunction[];
  /** The PCIe subtree that holds DMA function and GPU: VPD V3, else the root port's address. */
  readonly complex: string | undefined;
  readonly evidence: Evidence | undefined;
  /** The level that was really done. */
  readonly verified: VerificationLevel;
  readonly state: PathState;
  readonly reason: PathReason;
  /** One sentence that names what and where. */
  readonly message: string;
}
