// The one table of reasons. A reason is the same word in conditions, events, metric labels, log fields, CLI output and
// docs/troubleshooting.md. Nothing here knows how a reason is found; driver-core decides that for paths, the node agent for containers.

/** Ready: data direct may be used. Degraded: the NIC works, but not by Data Direct. Unavailable: the NIC itself is no use. */
export type PathState = 'Ready' | 'Degraded' | 'Unavailable';

export type DataDirectMode = 'Required' | 'Preferred' | 'Disabled';

interface Row {
  readonly state: PathState;
  /** How the fault is provoked in a test: on the virtual host, or on a machine. */
  readonly provoke: string;
  /** What a person does to mend it. */
  readonly mend: string;
}

/** Reasons of a path, in no particular order; driver-core's checks hold the order in which they are asked. */
export const PATH_REASONS = {
  Paired: {
    state: 'Ready',
    provoke: 'a healthy NIC whose DMA function is bound and shares an iommu group with its GPU',
    mend: 'nothing to do',
  },
  NotNeeded: {
    state: 'Ready',
    provoke: 'a platform on which NIC and GPU sit behind one switch, so there is no 15b3:2100 function at all',
    mend: 'nothing to do: this platform reaches the GPU directly and has no second path',
  },
  Excluded: {
    state: 'Unavailable',
    provoke: 'name the NIC in spec.exclude of its DataDirectPath',
    mend: 'remove the entry from spec.exclude when the path may serve again',
  },
  NoDmaFunction: {
    state: 'Degraded',
    provoke: 'remove the 15b3:2100 function, or give it another VUID',
    mend: 'look whether the function is on the bus; reseat or power-cycle the tray if a rescan does not find it',
  },
  PairingAmbiguous: {
    state: 'Degraded',
    provoke: 'give two 15b3:2100 functions the same serial (VPD V3) as one NIC and let the kernel answer nothing',
    mend: 'let the kernel decide: load mlx5_ib and ib_uverbs so that the pairing ioctl can be asked',
  },
  PairingUnverified: {
    state: 'Degraded',
    provoke: 'run without access to the uverbs node, so that VPD is the only evidence',
    mend: 'let the kernel be asked: run as root, or give the agent device access (the chart’s privileged profile)',
  },
  EvidenceConflict: {
    state: 'Degraded',
    provoke: 'let the VPD name another DMA function than the kernel does',
    mend: 'compare firmware versions of NIC and DMA function; the kernel’s answer is the one that counts for applications',
  },
  FunctionDisabled: {
    state: 'Degraded',
    provoke:
      'a function whose firmware shows data_direct or query_vuid as 0, as that of a VF does until somebody switches it on',
    mend: 'enable data direct before the function binds: unbind the VF or SF, set it for its devlink port, bind it again; a PF needs newer firmware',
  },
  DmaDriverNotBound: {
    state: 'Degraded',
    provoke: 'echo <address> > /sys/bus/pci/drivers/mlx5_ib/unbind',
    mend: 'load mlx5_ib, then let the kernel probe the function: nothing loads it on its behalf',
  },
  IommuGroupMismatch: {
    state: 'Degraded',
    provoke: 'move the DMA function into another iommu group than its GPU',
    mend: 'boot with the pci=config_acs= parameter that data-direct check prints (Linux 6.11, or a vendor kernel that has it); iommu groups are formed only at boot',
  },
  AcsMisconfigured: {
    state: 'Degraded',
    provoke: 'change the ACS control bits of a port in the complex',
    mend: 'boot with the pci=config_acs= parameter that data-direct check prints (Linux 6.11, or a vendor kernel that has it); iommu groups are formed only at boot',
  },
  GpuNotFound: {
    state: 'Degraded',
    provoke: 'remove the GPU beside the DMA function',
    mend: 'look whether the GPU is on the bus; power-cycle the tray if a rescan does not find it',
  },
  UnexpectedTopology: {
    state: 'Degraded',
    provoke: 'put a second GPU or a foreign function into the complex',
    mend: 'compare the tree with a healthy node (data-direct topo) and report it with data-direct dump',
  },
  PortDown: {
    state: 'Unavailable',
    provoke: 'take the port’s link down',
    mend: 'check cable, switch port and subnet manager; the path comes back with the port',
  },
  KernelTooOld: {
    state: 'Degraded',
    provoke: 'a kernel whose mlx5_ib does not know the pairing ioctl (before 6.12)',
    mend: 'run Linux 6.12 or newer, or a vendor kernel with the data direct series',
  },
  KernelRefused: {
    state: 'Degraded',
    provoke: 'answer an ioctl with an errno that has no meaning there',
    mend: 'look up the errno in the message and dmesg; report it with data-direct dump',
  },
  RegistrationFailed: {
    state: 'Degraded',
    provoke: 'pair the functions but let the memory registration fail',
    mend: 'read the errno in the message; errno 524 means that the iommu groups of GPU and DMA function differ',
  },
  VpdUnreadable: {
    state: 'Degraded',
    provoke: 'truncate the VPD of the DMA function',
    mend: 'read dmesg for VPD errors of this function; update or reset its firmware',
  },
  VerbsNodeMissing: {
    state: 'Unavailable',
    provoke: 'remove the uverbs device node while the RDMA device stays',
    mend: 'load ib_uverbs (Linux 7 no longer does so by itself), and check that /dev/infiniband is visible to the agent',
  },
  DeviceUnresponsive: {
    state: 'Unavailable',
    provoke: 'let open or ioctl on the uverbs node block',
    mend: 'the firmware does not answer: read dmesg, reset the device or power-cycle the node',
  },
  RdmaNamespaceExclusive: {
    state: 'Unavailable',
    provoke: 'rdma system set netns exclusive',
    mend: 'share RDMA devices among network namespaces, while no container holds one',
  },
  WaitingForDriver: {
    state: 'Unavailable',
    provoke: 'unbind the NIC from mlx5_core',
    mend: 'load mlx5_core and mlx5_ib; the path appears by itself once the RDMA device does',
  },
} as const satisfies Record<string, Row>;

export type PathReason = keyof typeof PATH_REASONS;

/** Reasons of a container that holds paths, found by the node agent. */
export const CONTAINER_REASONS = {
  GpuElsewhere: {
    provoke: 'give a container a path and a GPU of another complex',
    mend: 'request all paths of the node, or let DRA choose GPU and path together',
  },
  RuntimeLibraryTooOld: {
    provoke: 'run an image whose libmlx5 lacks MLX5_1.25 (rdma-core before 54)',
    mend: 'build the image with rdma-core 54 or newer, or mount the node’s with agent.rdmaCore.mount of the chart',
  },
  EnvironmentStale: {
    provoke: 'unbind a DMA function after its path was given to a container',
    mend: 'delete the pod: the kubelet replays the environment of the first start at every restart of the container',
  },
  EnvironmentConflict: {
    provoke: 'request two resources with different environments in one container',
    mend: 'request one resource per container',
  },
} as const satisfies Record<string, Omit<Row, 'state'>>;

export type ContainerReason = keyof typeof CONTAINER_REASONS;

export function isPathReason(word: string): word is PathReason {
  return Object.hasOwn(PATH_REASONS, word);
}

export function stateOf(reason: PathReason): PathState {
  return PATH_REASONS[reason].state;
}

/** What the kubelet is told: a Required policy loses every path that is not Ready, the others only what is Unavailable. */
export function isHealthy(reason: PathReason, mode: DataDirectMode): boolean {
  const state = stateOf(reason);
  return state === 'Ready' || (state === 'Degraded' && mode !== 'Required');
}

/** Whether data direct may be switched on for a container that holds this path. */
export function allowsDataDirect(reason: PathReason, mode: DataDirectMode): boolean {
  return reason === 'Paired' && mode !== 'Disabled';
}
