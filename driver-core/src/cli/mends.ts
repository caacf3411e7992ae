// What to type, on this very node, about each reason. The sentence that goes before stands in the table of reasons (crds); where nothing can be
// typed that helps, it stands alone.
import type { PathReason } from '@data-direct/crds';

import { configAcs } from '../path/acs.ts';
import type { Path } from '../path/path.ts';
import { DMA_DRIVERS } from '../pci/ids.ts';
import { hasNicDriver } from '../pci/nic.ts';
import type { Node } from './node.ts';

type Commands = (path: Path, node: Node) => readonly string[];

const LIST_DMA_FUNCTIONS = 'lspci -D -d 15b3:2100';
const RESCAN = 'echo 1 > /sys/bus/pci/rescan';
const KERNEL_LOG = "dmesg -T | grep -e mlx5 -e 'iommu'";
const REPORT = 'data-direct dump > node.json';
const LOAD = 'modprobe -a mlx5_core mlx5_ib';
const SF_DRIVER = '/sys/bus/auxiliary/drivers/mlx5_core.sf';
/** DOCA and MLNX_OFED give a new SF to a driver that only lets it be configured, until somebody binds it to the other. */
const SF_IN_CONFIGURATION = 'mlx5_core.sf_cfg';

const COMMANDS: Partial<Record<PathReason, Commands>> = {
  NoDmaFunction: () => [LIST_DMA_FUNCTIONS, RESCAN],
  PairingAmbiguous: ({ nic }) => ['modprobe -a mlx5_ib ib_uverbs', listNode(nic.uverbs)],
  PairingUnverified: ({ nic }) => [listNode(nic.uverbs)],
  EvidenceConflict: ({ nic }) => [firmwareVersion(nic.rdmaDevice), REPORT],
  FunctionDisabled: ({ id, nic }, { snapshot }) => {
    const pf = snapshot.nics.find((seen) => seen.id === id)?.physicalFunction;
    if (pf === undefined) return [firmwareVersion(nic.rdmaDevice)];
    const { subFunction } = nic;
    const [driver, device, called] = subFunction
      ? [SF_DRIVER, subFunction.auxiliary, subFunction.sfnum === undefined ? 'this SF' : `sfnum ${subFunction.sfnum}`]
      : ['/sys/bus/pci/drivers/mlx5_core', nic.address, 'this VF'];
    return [
      `devlink port show | grep pci/${pf}`,
      `echo ${device} > ${driver}/unbind`,
      `doca_data_direct_ctl set data-direct pci/${pf}/PORT -e true   # PORT of ${called} as devlink shows it`,
      `echo ${device} > ${driver}/bind`,
    ];
  },
  DmaDriverNotBound: (path, node) => ['modprobe mlx5_ib', ...unboundFunctions(path, node).flatMap(probeAnew)],
  IommuGroupMismatch: bootParameter,
  AcsMisconfigured: bootParameter,
  GpuNotFound: () => ['lspci -D -d 10de:', RESCAN],
  UnexpectedTopology: () => ['data-direct topo --tree', REPORT],
  PortDown: ({ nic }) =>
    nic.linkLayer === 'Ethernet' && nic.netdevs[0] !== undefined
      ? [`ip link set ${nic.netdevs[0]} up`, `ethtool ${nic.netdevs[0]}`]
      : [`ibstat ${nic.rdmaDevice ?? ''}`],
  KernelTooOld: () => ['uname -r'],
  KernelRefused: () => [KERNEL_LOG, REPORT],
  RegistrationFailed: () => [KERNEL_LOG, REPORT],
  VpdUnreadable: ({ nic, dma }) => ['dmesg -T | grep -i vpd', `xxd /sys/bus/pci/devices/${(dma ?? nic).address}/vpd`],
  VerbsNodeMissing: () => ['modprobe ib_uverbs', 'ls -l /dev/infiniband'],
  DeviceUnresponsive: ({ nic }) => [`dmesg -T | grep ${nic.address}`],
  RdmaNamespaceExclusive: () => ['rdma system set netns shared'],
  WaitingForDriver: ({ nic }) => {
    const { driver, subFunction } = nic;
    if (subFunction && driver === SF_IN_CONFIGURATION)
      return [
        `echo ${subFunction.auxiliary} > ${SF_DRIVER}_cfg/unbind`,
        `echo ${subFunction.auxiliary} > ${SF_DRIVER}/bind`,
      ];
    if (driver !== undefined) return hasNicDriver(nic) ? [LOAD] : [];
    return [LOAD, subFunction ? `echo ${subFunction.auxiliary} > ${SF_DRIVER}/bind` : probe(nic.address)];
  },
};

export function commandsFor(path: Path, node: Node): readonly string[] {
  return COMMANDS[path.reason]?.(path, node) ?? [];
}

/** What mends ports mends the whole node. */
export function bootParameter(_path: unknown, { ports }: Pick<Node, 'ports'>): readonly string[] {
  const parameter = configAcs(ports);
  return parameter === undefined ? [] : [parameter];
}

function listNode(uverbs: string | undefined): string {
  return `ls -l /dev/infiniband/${uverbs ?? ''}`;
}

function firmwareVersion(rdmaDevice = '*'): string {
  return `cat /sys/class/infiniband/${rdmaDevice}/fw_ver`;
}

interface Function {
  readonly address: string;
  readonly driver: string | undefined;
}

/** The path's own one, or where that is not known, all that no path has. */
function unboundFunctions({ dma }: Path, { snapshot, paths }: Node): readonly Function[] {
  if (dma) return [dma];
  const taken = new Set(paths.map((path) => path.dma?.address));
  return snapshot.dmas
    .filter(({ fn, driver }) => !taken.has(fn.address) && !DMA_DRIVERS.includes(driver ?? ''))
    .map(({ fn, driver }) => ({ address: fn.address, driver }));
}

/** A foreign driver has to let go first, and must not be told to take it again. */
function probeAnew({ address, driver }: Function): string[] {
  const at = `/sys/bus/pci/devices/${address}`;
  const foreign = [`echo > ${at}/driver_override`, `echo ${address} > ${at}/driver/unbind`];
  return [...(driver === undefined ? [] : foreign), probe(address)];
}

function probe(address: string): string {
  return `echo ${address} > /sys/bus/pci/drivers_probe`;
}
