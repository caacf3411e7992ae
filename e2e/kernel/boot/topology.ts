// The PCI tree of a machine as QEMU's devices and the kernel's command line. Data in, data out.

/** QEMU's q35 has one PCI domain. Its switch ports have no ACS capability; its root ports have. */
const models = {
  'root-port': 'pcie-root-port',
  'switch-upstream': 'x3130-upstream',
  'switch-downstream': 'xio3130-downstream',
} as const;

export interface Bridge {
  /** By which others name it as their bus. */
  readonly id: string;
  readonly kind: keyof typeof models;
  /** Root ports: on the root complex, whose slots 1 to 3 the machine's own devices take. */
  readonly bus?: string;
  /** PCI device number on that bus. */
  readonly slot: number;
  /**
   * What the kernel is told to write to this root port's ACS control (Documentation/admin-guide/kernel-parameters.txt,
   * pci=config_acs): seven characters 0, 1 or x (as it was), e.g. xx111x0 so that functions below it share an iommu group.
   */
  readonly acs?: string;
}

/** A PCI function that a vfio-user server plays. It must listen before the machine is booted. */
export interface VfioUserDevice {
  readonly id: string;
  /** Path of the server's unix socket. */
  readonly socket: string;
  /** The id of a bridge. */
  readonly bus: string;
}

export type Iommu = 'none' | 'passthrough' | 'translating';

/** A device of QEMU as its own options name it; the argument of -device and of QMP's device_add. */
export type QemuDevice = Readonly<Record<string, unknown>> & { readonly driver: string };

export interface Tree {
  /** In the order in which they have to be made. */
  readonly devices: readonly QemuDevice[];
  /** Words for the kernel's command line. */
  readonly append: readonly string[];
}

const iommuWords: Readonly<Record<Iommu, readonly string[]>> = {
  none: [],
  passthrough: ['intel_iommu=on', 'iommu=pt'],
  translating: ['intel_iommu=on', 'iommu=nopt'],
};

export function pciTree(iommu: Iommu, bridges: readonly Bridge[], devices: readonly VfioUserDevice[]): Tree {
  const unit = iommu === 'none' ? [] : [{ driver: 'intel-iommu', 'caching-mode': true }];
  const acs = bridges.flatMap(({ slot, acs: flags }) => (flags === undefined ? [] : [`${flags}@${rootAddress(slot)}`]));
  return {
    devices: [...unit, ...bridges.map(bridgeDevice), ...devices.map(vfioUserDevice)],
    append: [...iommuWords[iommu], ...(acs.length === 0 ? [] : [`pci=config_acs=${acs.join(';')}`])],
  };
}

export function vfioUserDevice({ id, socket, bus }: VfioUserDevice): QemuDevice {
  return { driver: 'vfio-user-pci', id, bus, socket: { type: 'unix', path: socket } };
}

/** Chassis and slot numbers only have to differ. */
function bridgeDevice({ id, kind, bus, slot }: Bridge, index: number): QemuDevice {
  const place = { driver: models[kind], id, bus: bus ?? 'pcie.0', addr: hex(slot) };
  return kind === 'switch-upstream' ? place : { ...place, chassis: index + 1, slot: index + 1 };
}

function rootAddress(slot: number): string {
  return `0000:00:${hex(slot)}.0`;
}

function hex(slot: number): string {
  return slot.toString(16).padStart(2, '0');
}
