// What a dump leaves open about a machine, and what stands in one that was taken without privilege: derived here from what there is. Pure.
import { refused } from '../host/host.ts';
import { idsOf, virtualFunctions } from './config-space.ts';
import type { PciIds } from './config-space.ts';
import type { DumpedFunction, Fixture } from './fixture.ts';
import { encodeVpd, readOnlyKeyword } from './vpd.ts';

export type FunctionKind = 'nic' | 'dma' | 'gpu' | 'nvme' | 'bridge' | 'other';

const MELLANOX = 0x15b3;
const NVIDIA = 0x10de;
const DATA_DIRECT_FUNCTION = 0x2100;

export function kindOf(ids: PciIds): FunctionKind {
  const base = ids.class >> 16;
  if (ids.vendor === MELLANOX && ids.device === DATA_DIRECT_FUNCTION) return 'dma';
  if (ids.vendor === MELLANOX && base === 0x02) return 'nic';
  if (ids.vendor === NVIDIA && base === 0x03) return 'gpu';
  if (ids.class === 0x010802) return 'nvme';
  return base === 0x06 ? 'bridge' : 'other';
}

/** mlx5_ib names its PCI driver after itself up to Linux 7.3, mlx5_dd from about 7.4; a fixture of such a kernel says so. */
export const homeDrivers: Readonly<Record<FunctionKind, string | undefined>> = {
  nic: 'mlx5_core',
  dma: 'mlx5_ib',
  gpu: 'nvidia',
  nvme: 'nvme',
  bridge: 'pcieport',
  other: undefined,
};

/** On the auxiliary bus. */
export const SF_DRIVER = 'mlx5_core.sf';

/** Whether a driver held the function when the fixture was taken. A NIC without class devices in the dump had none. */
export function boundAtStart(dumped: DumpedFunction): boolean {
  if (dumped.extension?.driver !== undefined) return dumped.extension.driver !== null;
  const kind = kindOf(idsOf(dumped.modalias));
  return kind === 'nic'
    ? Object.values(dumped.classDevices).some((names: readonly string[]) => names.length > 0)
    : homeDrivers[kind] !== undefined;
}

/** As the driver saw it when it bound: by the kernel's word where the dump has that, else by the firmware's, else as the serials suggest. */
export function vuidAtStart(nic: DumpedFunction, fixture: Fixture): string | undefined {
  const { vuid, pairedWith } = nic.extension ?? {};
  if (pairedWith === null) return unread('partner');
  if (pairedWith !== undefined) return vuidOfDma(pairedWith, fixture);
  return vuid === undefined ? vuidByV3(nic, fixture) : (vuid ?? undefined);
}

/** What nobody could read may not look like anything that was. */
function unread(whose: string): string {
  return `not read: VUID of ${whose}`;
}

/** What stands in its VPD, else what a NIC that the kernel pairs with it is called by. */
function vuidOfDma(address: string, { functions }: Fixture): string {
  const dma = functions.find((other) => other.address === address);
  const partner = functions.find(({ extension }) => extension?.pairedWith === address);
  return (dma && keyword(dma, 'VU')) ?? partner?.extension?.vuid ?? unread(address);
}

/** A DMA function that has its driver had a VPD with a VUID when that took it, whatever could be read of it since. */
export function vpdAtStart(dumped: DumpedFunction, fixture: Fixture): Buffer | undefined {
  const wasBound = kindOf(idsOf(dumped.modalias)) === 'dma' && typeof dumped.extension?.driver === 'string';
  if (!wasBound || keyword(dumped, 'VU') !== undefined) return dumped.vpd;
  return encodeVpd('', { VU: vuidOfDma(dumped.address, fixture) });
}

const NIC_DRIVERS: ReadonlySet<string | null | undefined> = new Set(['mlx5_core', SF_DRIVER]);

/** A NIC that showed a network interface and no RDMA device runs without mlx5_ib, and so does one that had its driver and showed neither. */
export function hasRdmaDevice({ classDevices, extension }: DumpedFunction): boolean {
  return classDevices.infiniband.length > 0 || (classDevices.net.length === 0 && !NIC_DRIVERS.has(extension?.driver));
}

/** Undefined: the next that is free. */
export function uverbsNumberOf({ extension }: DumpedFunction): number | undefined {
  const name = extension?.uverbs ?? undefined;
  return name === undefined ? undefined : Number(name.slice('uverbs'.length));
}

/** A dump cannot hold what firmware answers. rdma_topo's rule finds it: NIC and DMA function of one adapter share the VPD keyword V3. */
function vuidByV3(nic: DumpedFunction, fixture: Fixture): string | undefined {
  const serial = keyword(nic, 'V3');
  if (serial === undefined) return undefined;
  const partner = fixture.functions.find(
    (other) => kindOf(idsOf(other.modalias)) === 'dma' && keyword(other, 'V3') === serial,
  );
  return partner && keyword(partner, 'VU');
}

function keyword(dumped: DumpedFunction, name: string): string | undefined {
  const value = dumped.vpd && readOnlyKeyword(dumped.vpd, name);
  return value === undefined || refused(value) ? undefined : value;
}

/** Address of a VF or SF → address of its PF: as the fixture says, else as the PFs' SR-IOV capabilities say. */
export function physfnsOf(functions: readonly DumpedFunction[]): Map<string, string> {
  const ofPci = functions.filter(({ subFunction }) => subFunction === undefined);
  const byRoutingId = new Map(
    ofPci.map((one) => [`${domainOf(one.address)}/${routingIdOf(one.address)}`, one.address]),
  );
  const physfns = new Map<string, string>();
  for (const pf of ofPci) {
    for (const id of virtualFunctions(pf.config, routingIdOf(pf.address))) {
      const vf = byRoutingId.get(`${domainOf(pf.address)}/${id}`);
      if (vf !== undefined) physfns.set(vf, pf.address);
    }
  }
  for (const { address, extension } of functions) {
    if (extension?.physfn !== undefined) physfns.set(address, extension.physfn);
  }
  return physfns;
}

function domainOf(address: string): string {
  return address.slice(0, address.indexOf(':'));
}

/** Bus, device and function in the 16 bits that PCI routes by. */
function routingIdOf(address: string): number {
  const [, bus = '0', device = '0', fn = '0'] = /:(..):(..)\.(.)$/.exec(address) ?? [];
  return (Number.parseInt(bus, 16) << 8) | (Number.parseInt(device, 16) << 3) | Number(fn);
}
