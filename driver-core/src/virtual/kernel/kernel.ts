// The virtual kernel's device model: which driver holds which function, which RDMA devices there are, and what is announced when that
// changes. The ioctl side is uverbs.ts and mlx5.ts; how it all looks under /sys is ../tree.ts.
import { refused } from '../../host/host.ts';
import type { Answer, Errno, Pointer } from '../../host/host.ts';
import { RDMA_DRIVER_MLX5 } from '../../verbs/abi.ts';
import { readOnlyKeyword } from '../vpd.ts';
import type { Hardware, PciFunction } from '../hardware.ts';
import { SF_DRIVER } from '../derive.ts';
import { DataDirect } from './data-direct.ts';
import { Dmabufs } from './dmabuf.ts';
import { errno } from './errno.ts';
import type { FwctlDevice } from './fwctl.ts';
import { FwctlFile } from './fwctl.ts';
import { methodTable } from './methods.ts';
import { Mkeys } from './mkeys.ts';
import { mlx5Ops } from './mlx5.ts';
import type { SmiDevice } from './smi.ts';
import { classDevicesOfSmi, PLANES } from './smi.ts';
import type { SoftwareDevice } from './software.ts';
import { softwareDevice } from './software.ts';
import { auxiliaryEvent, classEvent, functionEvent } from './uevent.ts';
import type { Announcement, ClassDevice } from './uevent.ts';
import { UverbsFile } from './uverbs.ts';
import type { MethodTable, UverbsDevice } from './uverbs.ts';

export interface KernelSettings {
  readonly release: string;
  readonly pageSize: number;
  /** mlx5_ib has the data direct series. */
  readonly dataDirectSeries: boolean;
  readonly onDemandPaging: boolean;
  /** mlx5_ib keeps relaxed ordering of data direct regions. */
  readonly relaxedOrderingMkey: boolean;
  readonly fwctl: boolean;
  readonly defaultRoute: string | undefined;
}

/** An open character device. */
export interface NodeFile {
  ioctl(request: number, bytes: Buffer, pointers: readonly Pointer[]): Answer<0>;
  close(): void;
}

/** A registered RDMA device and the numbers that it was given. */
export interface RdmaDevice extends UverbsDevice {
  readonly nic: PciFunction;
  readonly name: string;
  /** Number of uverbsN and umadN. */
  readonly number: number;
  /** Its own among all that there ever were. */
  readonly serial: number;
  readonly methods: MethodTable;
  readonly mkeys: Mkeys;
  /** ib_uverbs has made its node. */
  hasUverbs: boolean;
}

/** How an RDMA device is called and numbered that was there before the boot; others get what is free. */
interface Called {
  readonly name?: string | undefined;
  readonly number?: number | undefined;
}

/** Names by which a call on a NIC's uverbs node can be made to fail. */
export const CALLS = [
  'open',
  'get-context',
  'path',
  'alloc-pd',
  'register',
  'destroy-mr',
  'destroy-pd',
  'devx',
] as const;
export type CallName = (typeof CALLS)[number];

/** drivers/infiniband/core/{uverbs_main,user_mad}.c: IB_UVERBS_MAJOR and its base minor; umad shares the major. */
const INFINIBAND_MAJOR = 231;
const UVERBS_BASE_MINOR = 192;

export class Kernel {
  readonly hardware: Hardware;
  readonly settings: KernelSettings;
  readonly dmabufs = new Dmabufs();
  /** `rdma system`: in exclusive mode a process outside the device's network namespace may not open it. */
  rdmaNamespaces: 'shared' | 'exclusive' = 'shared';
  /** Contexts and objects that the RDMA cgroup grants to our process; undefined for any number. */
  rdmaLimit: number | undefined;
  readonly #drivers = new Map<PciFunction, string>();
  /** How often a driver took the function. */
  readonly #bindings = new Map<PciFunction, number>();
  #registrations = 0;
  readonly #rdmaDevices = new Map<PciFunction, RdmaDevice>();
  readonly #dataDirect = new DataDirect();
  readonly #refusals = new Map<PciFunction, Map<string, Errno>>();
  readonly #softwareDevices = new Map<string, SoftwareDevice>();
  readonly #smiDevices = new Map<RdmaDevice, SmiDevice>();
  readonly #fwctlDevices = new Map<PciFunction, FwctlDevice>();
  readonly #files = new Set<UverbsFile>();
  readonly #announce: (event: Announcement) => void;

  constructor(hardware: Hardware, settings: KernelSettings, announce: (event: Announcement) => void) {
    this.hardware = hardware;
    this.settings = settings;
    this.#announce = announce;
  }

  driverOf(one: PciFunction): string | undefined {
    return this.#drivers.get(one);
  }

  bindingsOf(one: PciFunction): number {
    return this.#bindings.get(one) ?? 0;
  }

  rdmaDeviceOf(nic: PciFunction): RdmaDevice | undefined {
    return this.#rdmaDevices.get(nic);
  }

  rdmaDevices(): RdmaDevice[] {
    return [...this.#rdmaDevices.values()];
  }

  /** Binds what was bound when the fixture was taken; RDMA devices get the names that they had. */
  boot(bound: readonly PciFunction[]): void {
    const byName = bound.toSorted((a, b) => compareNumbered(rdmaName(a), rdmaName(b)));
    for (const one of byName) this.#bindAs(one, { name: one.names.infiniband[0], number: one.uverbsNumber });
    for (const device of this.rdmaDevices())
      for (const name of device.nic.names.infiniband.slice(1)) this.addSmiDevice(device, name);
  }

  /** Probes with the function's own driver; what the driver says when it does not want it. */
  bind(one: PciFunction): Answer<0> {
    return this.#bindAs(one, {});
  }

  #bindAs(one: PciFunction, called: Called): Answer<0> {
    const driver = one.homeDriver;
    if (!one.present || driver === undefined) return errno('ENODEV', one.address);
    if (this.#drivers.has(one)) return errno('EBUSY', `${one.address} is bound to ${driver}`);
    const probed = this.#probe(one, called);
    if (refused(probed)) return probed;
    this.#drivers.set(one, driver);
    this.#bindings.set(one, this.bindingsOf(one) + 1);
    this.#announce(functionEvent('bind', one, driver));
    return 0;
  }

  #probe(one: PciFunction, called: Called): Answer<0> {
    // Another driver, such as vfio-pci, makes nothing that anybody here knows.
    if (MLX5_DRIVERS[one.kind]?.includes(one.homeDriver ?? '') === false) return 0;
    if (one.kind === 'dma') return this.#probeDma(one);
    if (one.kind === 'nic' && !one.subFunction && this.settings.fwctl) this.#registerFwctl(one);
    if (one.rdma) this.#registerRdmaDevice(one, called);
    else this.#announceClassDevices('add', one);
    return 0;
  }

  /** mlx5_data_direct_probe: the VPD is read once, now, and must have the keyword VU. */
  #probeDma(dma: PciFunction): Answer<0> {
    if (dma.vpd === undefined) return errno('ENODEV', `VPD of ${dma.address}`);
    if (dma.vpdRefusal !== undefined && !isPermission(dma.vpdRefusal)) return dma.vpdRefusal;
    const vuid = readOnlyKeyword(dma.vpd, 'VU');
    if (refused(vuid)) return vuid;
    this.#dataDirect.addDma(dma, vuid);
    return 0;
  }

  unbind(one: PciFunction): Answer<0> {
    if (!this.#drivers.has(one)) return errno('ENODEV', `${one.address} has no driver`);
    // mlx5_core takes its VFs and SFs off their bus before it lets go of the PF (mlx5_sriov_disable, mlx5_sf_dev_table_destroy).
    for (const vf of this.hardware.values()) if (vf.physfn === one.address) this.remove(vf);
    if (one.kind === 'dma') this.#dataDirect.removeDma(one);
    const device = this.#rdmaDevices.get(one);
    if (device === undefined) this.#announceClassDevices('remove', one);
    else this.#unregisterRdmaDevice(device);
    this.#unregisterFwctl(one);
    this.#drivers.delete(one);
    this.#announce(functionEvent('unbind', one));
    return 0;
  }

  /** Hot-removal: the function and everything below it, from the leaves up. */
  remove(one: PciFunction): void {
    for (const each of this.#subtree(one).toReversed()) {
      if (!each.present) continue;
      if (this.#drivers.has(each)) this.unbind(each);
      each.present = false;
      this.#announce(functionEvent('remove', each));
    }
  }

  /** Hot-add and probe, from the function down; the SFs of a PF were made by somebody, and are gone until they are made again. A function whose driver does not want it stays without one. */
  add(one: PciFunction): void {
    for (const each of this.#subtree(one)) {
      if (each.present || (each.subFunction && each !== one)) continue;
      each.present = true;
      this.#announce(functionEvent('add', each));
      this.bind(each);
    }
  }

  #subtree(root: PciFunction): PciFunction[] {
    return [...this.hardware.values()]
      .filter((one) => one === root || one.devpath.startsWith(`${root.devpath}/`))
      .toSorted((a, b) => a.devpath.length - b.devpath.length);
  }

  /** ib_uverbs is unloaded, or loaded again: the RDMA device stays, its node goes and comes. */
  setUverbs(device: RdmaDevice, present: boolean): void {
    if (device.hasUverbs === present) return;
    device.hasUverbs = present;
    this.#announce(classEvent(present ? 'add' : 'remove', device.nic, uverbsOf(device)));
  }

  refuse(nic: PciFunction, call: CallName, refusal: Errno): void {
    const calls = this.#refusals.get(nic) ?? new Map<string, Errno>();
    this.#refusals.set(nic, calls.set(call, refusal));
  }

  allow(nic: PciFunction): void {
    this.#refusals.delete(nic);
  }

  /** open("/dev/infiniband/uverbsN") or open("/dev/fwctl/fwctlN"). */
  openNode(path: string): Answer<NodeFile> {
    const fwctl = this.#fwctlAt(path);
    if (fwctl) return new FwctlFile(fwctl);
    const software = this.softwareDevices().find(({ number }) => path === `/dev/infiniband/uverbs${number}`);
    if (software) return this.#openFile(software, software.methods);
    const device = this.uverbsAt(path);
    return device === undefined ? errno('ENOENT', path) : this.#openUverbs(device, path);
  }

  /** The PCI function that calls on this node reach. */
  functionBehind(path: string): PciFunction | undefined {
    return (this.uverbsAt(path) ?? this.#fwctlAt(path))?.nic;
  }

  softwareDevices(): SoftwareDevice[] {
    return [...this.#softwareDevices.values()];
  }

  smiDeviceOf(device: RdmaDevice): SmiDevice | undefined {
    return this.#smiDevices.get(device);
  }

  /** `rdma dev add <name> type SMI parent <device>`: of InfiniBand alone, one each. */
  addSmiDevice(parent: RdmaDevice, name: string): Answer<0> {
    if (this.#smiDevices.has(parent) || this.#hasDevice(name)) return errno('EEXIST', name);
    if (parent.nic.firmware?.linkLayer !== 'InfiniBand') return errno('EOPNOTSUPP', name);
    const taken = this.#numbers();
    const numbers = Array.from({ length: PLANES }, () => {
      const number = lowestFree(taken);
      taken.add(number);
      return number;
    });
    const device: SmiDevice = { name, numbers };
    this.#smiDevices.set(parent, device);
    for (const each of classDevicesOfSmi(device, umadOf).toReversed())
      this.#announce(classEvent('add', parent.nic, each));
    return 0;
  }

  /** `rdma dev delete <name>`. */
  removeSmiDevice(name: string): boolean {
    const [parent, device] = [...this.#smiDevices].find(([, each]) => each.name === name) ?? [];
    if (parent === undefined || device === undefined) return false;
    this.#smiDevices.delete(parent);
    for (const each of classDevicesOfSmi(device, umadOf)) this.#announce(classEvent('remove', parent.nic, each));
    return true;
  }

  #hasDevice(name: string): boolean {
    const devices = [...this.rdmaDevices(), ...this.softwareDevices(), ...this.#smiDevices.values()];
    return devices.some((device) => device.name === name);
  }

  /** `rdma link add <name> type rxe`; false where the name is taken. */
  addSoftwareDevice(name: string): boolean {
    if (this.#hasDevice(name)) return false;
    const device = softwareDevice(name, this.#freeNumber(), () => this.#mayCharge());
    this.#softwareDevices.set(name, device);
    return true;
  }

  /** `rdma link delete <name>`. */
  removeSoftwareDevice(name: string): boolean {
    const device = this.#softwareDevices.get(name);
    if (device !== undefined) device.gone = true;
    return this.#softwareDevices.delete(name);
  }

  /** uverbs and umad number their nodes across all drivers. */
  #numbers(): Set<number> {
    const ofSmi = [...this.#smiDevices.values()].flatMap(({ numbers }) => numbers);
    return new Set([...[...this.rdmaDevices(), ...this.softwareDevices()].map(({ number }) => number), ...ofSmi]);
  }

  #freeNumber(): number {
    return lowestFree(this.#numbers());
  }

  #isFree(number: number | undefined): number is number {
    return number !== undefined && !this.#numbers().has(number);
  }

  fwctlOf(nic: PciFunction): FwctlDevice | undefined {
    return this.#fwctlDevices.get(nic);
  }

  #fwctlAt(path: string): FwctlDevice | undefined {
    return [...this.#fwctlDevices.values()].find(({ number }) => path === `/dev/fwctl/fwctl${number}`);
  }

  #openUverbs(device: RdmaDevice, path: string): Answer<NodeFile> {
    const refusal = this.#refusals.get(device.nic)?.get('open');
    if (refusal !== undefined) return refusal;
    if (this.rdmaNamespaces === 'exclusive') return errno('EPERM', path);
    return this.#openFile(device, device.methods);
  }

  #openFile(device: UverbsDevice, methods: MethodTable): NodeFile {
    const file = new UverbsFile(device, methods, this.settings.pageSize);
    this.#files.add(file);
    return {
      ioctl: (request, bytes, pointers) => file.ioctl(request, bytes, pointers),
      close: () => {
        file.close();
        this.#files.delete(file);
      },
    };
  }

  #mayCharge(): boolean {
    const charged = [...this.#files].reduce((sum, file) => sum + file.charged, 0);
    return this.rdmaLimit === undefined || charged < this.rdmaLimit;
  }

  /** Every object of this UVERBS_OBJECT_* type that an open file holds, for tests that look at the kernel's side. */
  objects(type: number): unknown[] {
    return [...this.#files].flatMap((file) => file.objects(type));
  }

  uverbsAt(path: string): RdmaDevice | undefined {
    return this.rdmaDevices().find((device) => device.hasUverbs && path === `/dev/infiniband/uverbs${device.number}`);
  }

  #registerRdmaDevice(nic: PciFunction, { name, number }: Called): void {
    const refusals = this.#refusals;
    const mkeys = new Mkeys();
    const device: RdmaDevice = {
      nic,
      name: name ?? this.#nameFor(nic),
      number: this.#isFree(number) ? number : this.#freeNumber(),
      serial: this.#registrations++,
      methods: methodTable(
        mlx5Ops({
          nic,
          dataDirect: this.#dataDirect,
          dmabufs: this.dmabufs,
          mkeys,
          pageSize: this.settings.pageSize,
          dataDirectSeries: this.settings.dataDirectSeries,
          onDemandPaging: this.settings.onDemandPaging,
          relaxedOrderingMkey: this.settings.relaxedOrderingMkey && nic.firmware?.relaxedOrdering === true,
        }),
      ),
      mkeys,
      driverId: RDMA_DRIVER_MLX5,
      mayCharge: () => this.#mayCharge(),
      hasUverbs: true,
      gone: false,
      refusal: (method) => refusals.get(nic)?.get(method),
    };
    this.#rdmaDevices.set(nic, device);
    const vuid = nic.firmware?.queryVuid === true ? nic.firmware.dataDirectVuid : undefined;
    if (vuid !== undefined) this.#dataDirect.addNic(nic, vuid);

    this.#announce(auxiliaryEvent('add', nic, device.number));
    for (const each of classDevicesOf(device).toReversed()) this.#announce(classEvent('add', nic, each));
    this.#announce(auxiliaryEvent('bind', nic, device.number));
  }

  #registerFwctl(nic: PciFunction): void {
    const taken = new Set([...this.#fwctlDevices.values()].map(({ number }) => number));
    const device: FwctlDevice = { nic, number: lowestFree(taken), gone: false };
    this.#fwctlDevices.set(nic, device);
    this.#announce(classEvent('add', nic, fwctlClassDevice(device)));
  }

  #unregisterFwctl(nic: PciFunction): void {
    const device = this.#fwctlDevices.get(nic);
    if (device === undefined) return;
    device.gone = true;
    this.#fwctlDevices.delete(nic);
    this.#announce(classEvent('remove', nic, fwctlClassDevice(device)));
  }

  #unregisterRdmaDevice(device: RdmaDevice): void {
    const { nic } = device;
    const smi = this.#smiDevices.get(device);
    if (smi) this.removeSmiDevice(smi.name);
    device.gone = true;
    this.#rdmaDevices.delete(nic);
    this.#dataDirect.removeNic(nic);
    for (const each of classDevicesOf(device)) this.#announce(classEvent('remove', nic, each));
    this.#announce(auxiliaryEvent('unbind', nic, device.number));
    this.#announce(auxiliaryEvent('remove', nic, device.number));
  }

  /** The lowest free mlx5_N, as the kernel gives it: after a NIC was away its name may be another's. A name given by udev is kept. */
  #nameFor(nic: PciFunction): string {
    const names = new Set(this.rdmaDevices().map((device) => device.name));
    const before = rdmaName(nic);
    if (before !== '' && !KERNEL_NAME.test(before) && !names.has(before)) return before;
    const numbers = [...names]
      .filter((name) => KERNEL_NAME.test(name))
      .map((name) => Number(name.slice('mlx5_'.length)));
    return `mlx5_${lowestFree(new Set(numbers))}`;
  }

  #announceClassDevices(action: 'add' | 'remove', one: PciFunction): void {
    for (const [subsystem, names] of Object.entries(one.names)) {
      for (const name of names) this.#announce(classEvent(action, one, { subsystem, name }));
    }
  }
}

const MLX5_DRIVERS: Partial<Record<PciFunction['kind'], readonly string[]>> = {
  nic: ['mlx5_core', SF_DRIVER],
  dma: ['mlx5_ib', 'mlx5_dd'],
};

const KERNEL_NAME = /^mlx5_\d+$/;

function rdmaName(one: PciFunction): string {
  return one.names.infiniband[0] ?? '';
}

/** mlx5_2 before mlx5_10. Not localeCompare: its tables take longer to load than a machine to boot. */
function compareNumbered(a: string, b: string): number {
  const [[nameA = '', numberA = ''], [nameB = '', numberB = '']] = [a, b].map((name) => name.split(/(?=\d+$)/)) as [
    string[],
    string[],
  ];
  return nameA === nameB ? Number(numberA) - Number(numberB) : nameA < nameB ? -1 : 1;
}

/** Whom the kernel keeps out; its own driver may read all the same. */
function isPermission({ code }: Errno): boolean {
  return code === 'EACCES' || code === 'EPERM';
}

function lowestFree(taken: ReadonlySet<number>): number {
  let number = 0;
  while (taken.has(number)) number += 1;
  return number;
}

export function uverbsOf({ number }: { readonly number: number }): ClassDevice {
  const node = { major: INFINIBAND_MAJOR, minor: UVERBS_BASE_MINOR + number, path: `infiniband/uverbs${number}` };
  return { subsystem: 'infiniband_verbs', name: `uverbs${number}`, node };
}

/** alloc_chrdev_region gives fwctl a major of its own, from 511 down where nobody else asked before. */
const FWCTL_MAJOR = 511;

export function fwctlClassDevice({ number }: FwctlDevice): ClassDevice {
  const node = { major: FWCTL_MAJOR, minor: number, path: `fwctl/fwctl${number}` };
  return { subsystem: 'fwctl', name: `fwctl${number}`, node };
}

export function umadOf({ number }: { readonly number: number }): ClassDevice {
  const node = { major: INFINIBAND_MAJOR, minor: number, path: `infiniband/umad${number}` };
  return { subsystem: 'infiniband_mad', name: `umad${number}`, node };
}

/** What hangs below the NIC's function, in the order in which it goes away. */
export function classDevicesOf(device: RdmaDevice): ClassDevice[] {
  const netdevs = device.nic.names.net;
  return [
    ...(device.hasUverbs ? [uverbsOf(device)] : []),
    umadOf(device),
    ...netdevs.map((name): ClassDevice => ({ subsystem: 'net', name })),
    { subsystem: 'infiniband', name: device.name },
  ];
}
