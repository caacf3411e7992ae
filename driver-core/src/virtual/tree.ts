// How the virtual machine looks under /sys and /proc: the files that drivers/pci/pci-sysfs.c, drivers/infiniband/core/sysfs.c and
// net/ipv4/fib_trie.c show, as bytes. A new tree for every state; it decides nothing.
import { Tree } from './filesystem.ts';
import type { Firmware, PciFunction, PortState } from './hardware.ts';
import type { FwctlDevice } from './kernel/fwctl.ts';
import { errno } from './kernel/errno.ts';
import { classDevicesOf, fwctlClassDevice, umadOf, uverbsOf } from './kernel/kernel.ts';
import type { Kernel, RdmaDevice } from './kernel/kernel.ts';
import type { SmiDevice } from './kernel/smi.ts';
import { classDevicesOfSmi } from './kernel/smi.ts';
import type { SoftwareDevice } from './kernel/software.ts';

/** There whatever there is to stand in them. */
const DIRECTORIES = [
  'bus/auxiliary/devices',
  'bus/pci/devices',
  'bus/pci/drivers',
  'class/infiniband',
  'class/net',
  'kernel/iommu_groups',
];

/** The tree below /sys. */
export function sysfs(kernel: Kernel): Tree {
  const tree = new Tree();
  for (const path of DIRECTORIES) tree.directory(path);
  // include/uapi/rdma/ib_user_verbs.h: IB_USER_VERBS_ABI_VERSION; ib_user_mad.h: IB_USER_MAD_ABI_VERSION.
  tree.file('class/infiniband_verbs/abi_version', '6\n');
  tree.file('class/infiniband_mad/abi_version', '5\n');
  // ib_core's parameter: Y = RDMA devices are shared among network namespaces.
  tree.file('module/ib_core/parameters/netns_mode', kernel.rdmaNamespaces === 'shared' ? 'Y\n' : 'N\n');
  const present = [...kernel.hardware.values()].filter((one) => one.present);
  for (const one of present) addDevice(tree, kernel, one);
  for (const one of present) addVirtualFunctions(tree, one, present);
  for (const device of kernel.rdmaDevices()) {
    addRdmaDevice(tree, device);
    const smi = kernel.smiDeviceOf(device);
    if (smi) addSmiDevice(tree, device.nic, smi);
  }
  for (const device of kernel.softwareDevices()) addSoftwareDevice(tree, device);
  for (const one of present) addFwctl(tree, one, kernel.fwctlOf(one));
  return tree;
}

function addDevice(tree: Tree, kernel: Kernel, one: PciFunction): void {
  if (one.subFunction) addSubFunction(tree, one, one.subFunction);
  else addFunction(tree, one);
  addDriver(tree, one, kernel);
  const driven = kernel.driverOf(one) !== undefined && kernel.rdmaDeviceOf(one) === undefined;
  for (const [subsystem, names] of driven ? Object.entries(one.names) : []) {
    for (const name of names) addClassDevice(tree, one, subsystem, name);
  }
}

/** drivers/net/ethernet/mellanox/mlx5/core/sf/dev/dev.c */
function addSubFunction(tree: Tree, one: PciFunction, { sfnum, name }: NonNullable<PciFunction['subFunction']>): void {
  tree.file(`${below(one)}/sfnum`, `${sfnum}\n`);
  tree.link(`${below(one)}/subsystem`, 'bus/auxiliary');
  tree.link(`bus/auxiliary/devices/${name}`, below(one));
}

function addFunction(tree: Tree, one: PciFunction): void {
  const at = below(one);
  const { ids, address } = one;
  const reaches = { reaches: address };
  tree.file(`${at}/vendor`, hex(ids.vendor, 4));
  tree.file(`${at}/device`, hex(ids.device, 4));
  tree.file(`${at}/subsystem_vendor`, hex(ids.subsystemVendor, 4));
  tree.file(`${at}/subsystem_device`, hex(ids.subsystemDevice, 4));
  tree.file(`${at}/class`, hex(ids.class, 6));
  tree.file(`${at}/revision`, hex(one.config.readUInt8(8), 2));
  tree.file(`${at}/modalias`, `${one.modalias}\n`);
  tree.file(`${at}/numa_node`, `${one.numaNode ?? -1}\n`);
  tree.file(`${at}/config`, one.config, { mode: 0o644, ...reaches });
  // Only root may read it.
  if (one.vpd !== undefined || one.vpdRefusal !== undefined) {
    tree.file(`${at}/vpd`, one.vpd ?? '', { mode: 0o600, fails: one.vpdRefusal, ...reaches });
  }
  tree.link(`${at}/subsystem`, 'bus/pci');
  tree.link(`bus/pci/devices/${address}`, at);
  addIommuGroup(tree, one);
}

function addIommuGroup(tree: Tree, one: PciFunction): void {
  if (one.iommuGroup === undefined) return;
  const group = `kernel/iommu_groups/${one.iommuGroup}`;
  tree.file(`${group}/type`, 'DMA\n');
  tree.link(`${group}/devices/${one.address}`, below(one));
  tree.link(`${below(one)}/iommu_group`, group);
}

/** The driver's directory stays when it holds nothing: mlx5_ib is loaded whether or not it has a DMA function. */
function addDriver(tree: Tree, one: PciFunction, kernel: Kernel): void {
  if (one.homeDriver === undefined) return;
  const directory = `bus/${one.subFunction ? 'auxiliary' : 'pci'}/drivers/${one.homeDriver}`;
  for (const control of ['bind', 'unbind'])
    tree.file(`${directory}/${control}`, '', { mode: 0o200, fails: errno('EIO', control) });
  if (kernel.driverOf(one) === undefined) return;
  tree.link(`${directory}/${one.subFunction?.name ?? one.address}`, below(one));
  tree.link(`${below(one)}/driver`, directory, `${kernel.bindingsOf(one)}`);
}

function addVirtualFunctions(tree: Tree, pf: PciFunction, present: readonly PciFunction[]): void {
  const vfs = present.filter((one) => one.physfn === pf.address && !one.subFunction);
  for (const [index, vf] of vfs.entries()) {
    tree.link(`${below(pf)}/virtfn${index}`, below(vf));
    tree.link(`${below(vf)}/physfn`, below(pf));
  }
  if (vfs.length > 0) tree.file(`${below(pf)}/sriov_numvfs`, `${vfs.length}\n`, { mode: 0o644 });
}

/** …/<subsystem>/<name> below the function and its link in /sys/class. */
function addClassDevice(tree: Tree, parent: PciFunction, subsystem: string, name: string): string {
  const at = `${below(parent)}/${subsystem}/${name}`;
  tree.directory(at);
  tree.link(`${at}/device`, below(parent));
  tree.link(`${at}/subsystem`, `class/${subsystem}`);
  tree.link(`class/${subsystem}/${name}`, at);
  return at;
}

function addRdmaDevice(tree: Tree, device: RdmaDevice): void {
  const { nic, name } = device;
  for (const each of classDevicesOf(device)) {
    const at = addClassDevice(tree, nic, each.subsystem, each.name);
    tree.directory(at).identity = `${device.serial}`;
    if (each.node === undefined) continue;
    tree.file(`${at}/ibdev`, `${name}\n`);
    tree.file(`${at}/dev`, `${each.node.major}:${each.node.minor}\n`);
    if (each.subsystem === 'infiniband_verbs') tree.file(`${at}/abi_version`, '1\n');
    if (each.subsystem === 'infiniband_mad') tree.file(`${at}/port`, '1\n');
  }
  if (nic.firmware !== undefined) addInfiniband(tree, `${below(nic)}/infiniband/${name}`, nic, nic.firmware);
}

/** One port a plane. */
function addSmiDevice(tree: Tree, nic: PciFunction, smi: SmiDevice): void {
  for (const { subsystem, name, node } of classDevicesOfSmi(smi, umadOf)) {
    const at = addClassDevice(tree, nic, subsystem, name);
    if (node === undefined) continue;
    tree.file(`${at}/ibdev`, `${smi.name}\n`);
    tree.file(`${at}/dev`, `${node.major}:${node.minor}\n`);
  }
  const at = `${below(nic)}/infiniband/${smi.name}`;
  tree.file(`${at}/node_type`, '1: CA\n');
  for (const [index] of smi.numbers.entries()) {
    tree.file(`${at}/ports/${index + 1}/link_layer`, 'InfiniBand\n');
    tree.file(`${at}/ports/${index + 1}/state`, `${portStates.ACTIVE.state}\n`, { reaches: nic.address });
  }
}

/** Without a parent on any bus, so below /sys/devices/virtual. */
function addSoftwareDevice(tree: Tree, device: SoftwareDevice): void {
  const { subsystem, name, node } = uverbsOf(device);
  for (const [of, called] of [
    ['infiniband', device.name],
    [subsystem, name],
  ] as const) {
    const at = `devices/virtual/${of}/${called}`;
    tree.directory(at);
    tree.link(`${at}/subsystem`, `class/${of}`);
    tree.link(`class/${of}/${called}`, at);
  }
  const verbs = `devices/virtual/${subsystem}/${name}`;
  tree.file(`${verbs}/ibdev`, `${device.name}\n`);
  if (node) tree.file(`${verbs}/dev`, `${node.major}:${node.minor}\n`);
  tree.file(`${verbs}/abi_version`, '2\n');
  tree.file(`devices/virtual/infiniband/${device.name}/node_type`, '1: CA\n');
}

function addFwctl(tree: Tree, nic: PciFunction, device: FwctlDevice | undefined): void {
  if (device === undefined) return;
  const { subsystem, name, node } = fwctlClassDevice(device);
  const at = addClassDevice(tree, nic, subsystem, name);
  if (node) tree.file(`${at}/dev`, `${node.major}:${node.minor}\n`);
}

/** enum ib_port_state with its number, and the physical state that goes with it (drivers/infiniband/core/sysfs.c). */
const portStates: Readonly<Record<PortState, { readonly state: string; readonly physical: string }>> = {
  NOP: { state: '0: NOP', physical: '2: Polling' },
  DOWN: { state: '1: DOWN', physical: '2: Polling' },
  INIT: { state: '2: INIT', physical: '5: LinkUp' },
  ARMED: { state: '3: ARMED', physical: '5: LinkUp' },
  ACTIVE: { state: '4: ACTIVE', physical: '5: LinkUp' },
  ACTIVE_DEFER: { state: '5: ACTIVE_DEFER', physical: '6: LinkErrorRecovery' },
};

function addInfiniband(tree: Tree, at: string, nic: PciFunction, firmware: Firmware): void {
  // The device is asked for its port's state at every read.
  const reaches = { reaches: nic.address };
  const { state, physical } = portStates[firmware.portState];
  tree.file(`${at}/fw_ver`, `${firmware.version}\n`);
  tree.file(`${at}/hca_type`, `MT${nic.ids.device}\n`);
  tree.file(`${at}/node_type`, '1: CA\n');
  tree.file(`${at}/node_guid`, `${guidOf(nic)}\n`);
  tree.file(`${at}/sys_image_guid`, `${guidOf(nic)}\n`);
  tree.file(`${at}/ports/1/link_layer`, `${firmware.linkLayer}\n`);
  tree.file(`${at}/ports/1/state`, `${state}\n`, { fails: firmware.portRefusal, ...reaches });
  tree.file(`${at}/ports/1/phys_state`, `${physical}\n`, reaches);
}

/** A dump holds no GUID: one that is the function's own and the same at every start. 64-bit FNV-1a: node:crypto takes longer to load than a tree to make. */
function guidOf(nic: PciFunction): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(nic.devpath)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  const digits = hash.toString(16).padStart(16, '0');
  return digits.replace(/(.{4})(?=.)/g, '$1:');
}

function below(one: PciFunction): string {
  return one.devpath.slice(1);
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}\n`;
}

/** The tree below /proc of the node's first process: its routing tables, with one default route or none. */
export function proc(kernel: Kernel): Tree {
  const tree = new Tree();
  const { defaultRoute } = kernel.settings;
  const header = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  const loopback6 = `${'0'.repeat(31)}1 80 ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00000000 00000002 00000000 80200001       lo`;
  const lines = [header];
  const lines6 = [loopback6];
  if (defaultRoute !== undefined) {
    // 192.0.2.0/24 and 2001:db8:: are for documentation (RFC 5737, RFC 3849). Addresses stand in host byte order.
    lines.push(`${defaultRoute}\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0`);
    lines.push(`${defaultRoute}\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0`);
    const gateway = `20010db8${'0'.repeat(23)}1`;
    const any = '0'.repeat(32);
    lines6.push(`${any} 00 ${any} 00 ${gateway} 00000064 00000001 00000000 00000003 ${defaultRoute.padStart(8)}`);
  }
  // Every line of the IPv4 table is filled up to 127 characters.
  tree.file('net/route', lines.map((line) => `${line.padEnd(127)}\n`).join(''));
  tree.file('net/ipv6_route', lines6.map((line) => `${line}\n`).join(''));
  return tree;
}
