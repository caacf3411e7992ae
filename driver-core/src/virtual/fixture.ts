// A machine as a file: the form that `rdma_topo dump` prints (rdma-core, kernel-boot/rdma_topo), read strictly and decoded, plus what a
// dump does not hold under one optional key, "virtual". What a plain dump leaves open is derived in derive.ts.
import { inflateSync } from 'node:zlib';

import type { Errno } from '../host/host.ts';
import { VUID_BYTES } from '../verbs/firmware-abi.ts';
import { MODALIAS } from './config-space.ts';
import { VirtualError } from './errors.ts';
import { parseErrno } from './kernel/errno.ts';
import { boolean, integer, object, oneOf, optional, optionalOrNull, orNull, refuse, text, array } from './shape.ts';
import type { Place, Shape } from './shape.ts';

/** One PCI function of the dump, or an SF of one, which has the function's ids and place. */
export interface DumpedFunction {
  /** Of an SF that of its PF and its number: 0000:03:00.0/sf88. */
  readonly address: string;
  /** As the kernel writes it, below /sys: /devices/pci0009:00/0009:00:00.0/… */
  readonly devpath: string;
  readonly config: Buffer;
  readonly modalias: string;
  readonly iommuGroup: number | undefined;
  readonly numaNode: number | undefined;
  readonly vpd: Buffer | undefined;
  readonly classDevices: ClassDeviceNames;
  readonly extension: FunctionExtension | undefined;
  /** Of an SF only; its PF is its physfn. */
  readonly subFunction: DumpedSubFunction | undefined;
}

interface DumpedSubFunction {
  readonly sfnum: number;
  /** On the auxiliary bus. */
  readonly name: string;
}

/** Names of class devices by subsystem: those that rdma_topo writes down. */
export interface ClassDeviceNames {
  readonly drm: readonly string[];
  readonly infiniband: readonly string[];
  readonly net: readonly string[];
  readonly nvme: readonly string[];
}

export interface Fixture {
  /** The file or shipped name that it came from. */
  readonly source: string;
  readonly functions: readonly DumpedFunction[];
  readonly extension: HostExtension | undefined;
}

const PCI_ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
/** A name becomes a directory when the tree is written to disk: it must not lead anywhere else. */
const fileName = text(/^(?!\.)[\w.:@-]{1,64}$/, 'a name of letters, digits and . : @ _ -');

/** What a firmware can answer; a C string. */
const vuid: Shape<string> = (value, at) =>
  typeof value === 'string' && isVuid(value) ? value : refuse(at, `a VUID of at most ${VUID_BYTES} bytes`, value);

export function isVuid(value: string): boolean {
  return value.length <= VUID_BYTES && /^[^\0\u0100-\uffff]*$/.test(value);
}

const errnoShape: Shape<Errno> = (value, at) =>
  (typeof value === 'string' ? parseErrno(value, 'refused when the dump was taken') : undefined) ??
  refuse(at, 'an errno by name or number, such as "EIO" or "524"', value);

/** What could not be had when the dump was taken, so that it is not known of this node either. The first four are calls. */
const refusals = object({
  open: optional(errnoShape),
  getContext: optional(errnoShape),
  path: optional(errnoShape),
  devx: optional(errnoShape),
  queryVuid: optional(errnoShape),
  vpd: optional(errnoShape),
  portState: optional(errnoShape),
});

/** enum ib_port_state of include/rdma/ib_verbs.h, by its numbers. */
export const PORT_STATES = ['NOP', 'DOWN', 'INIT', 'ARMED', 'ACTIVE', 'ACTIVE_DEFER'] as const;

/** Of a NIC, be it a PCI function or an SF. */
const nicFields = {
  /** The bound driver; null = none at start. */
  driver: optional(orNull(fileName)),
  /** What the NIC's firmware answers to QUERY_VUID(data_direct=1); null = the capability is off. */
  vuid: optional(orNull(vuid)),
  /** The DMA function that the kernel named, or null for none, where no VUID is known. */
  pairedWith: optional(orNull(text(PCI_ADDRESS, 'a PCI address'))),
  /** Name of the uverbs node; null = there was none. */
  uverbs: optional(orNull(text(/^uverbs\d{1,4}$/, 'a name such as uverbs0'))),
  refused: optional(refusals),
  linkLayer: optional(oneOf('InfiniBand', 'Ethernet')),
  portState: optional(oneOf(...PORT_STATES)),
  firmwareVersion: optional(text(/^\d+\.\d+\.\d+$/, 'a firmware version such as 40.44.0208')),
  /** Whether the firmware can make the mkeys of a data direct registration. */
  crossingVhcaMkey: optional(boolean),
  /** Whether the firmware can be asked for a VUID. */
  queryVuid: optional(boolean),
  /** Whether the firmware makes user contexts (DEVX). */
  userContexts: optional(boolean),
};

/** rdma_topo knows no SFs, so they stand with their PF, where it does not look. */
const subFunction = object({
  ...nicFields,
  /** As devlink shows it. */
  sfnum: integer(0, 0xffff_ffff),
  /** Its name on the auxiliary bus; the next that is free unless said. */
  auxiliary: optional(text(/^mlx5_core\.sf\.\d{1,10}$/, 'a name such as mlx5_core.sf.4')),
  subsystems: optional(object({ infiniband: optional(array(fileName)), net: optional(array(fileName)) })),
});
type SubFunction = ReturnType<typeof subFunction>;

const functionExtension = object({
  ...nicFields,
  /** The PF of a VF. */
  physfn: optional(text(PCI_ADDRESS, 'a PCI address')),
  /** The SFs of a PF. */
  subFunctions: optional(array(subFunction)),
});
/** What a dump does not say of a function. */
type FunctionExtension = ReturnType<typeof functionExtension>;

const hostExtension = object({
  /** As uname -r prints it. */
  kernelRelease: optional(text(/^\d+\.\d+[\w.+~-]*$/, 'a kernel release such as 6.14.0-1015-nvidia-64k')),
  pageSize: optional(oneOf(4096, 16384, 65536)),
  /** Whether mlx5_ib has the data direct series, where the release does not tell (vendor kernels). */
  dataDirectSeries: optional(boolean),
  /** CONFIG_INFINIBAND_ON_DEMAND_PAGING, without which mlx5_ib registers no DMABUF. */
  onDemandPaging: optional(boolean),
  /** Whether mlx5_fwctl is there (Linux 6.15 and newer, not every distribution builds it). */
  fwctl: optional(boolean),
  /** Network interface that carries the default route. */
  defaultRoute: optional(fileName),
  /** As `rdma system` shows it. */
  rdmaNamespaces: optional(oneOf('shared', 'exclusive')),
});
/** What a dump does not say of the node. */
export type HostExtension = ReturnType<typeof hostExtension>;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Base64 of a zlib stream, as the dump writes configuration space and VPD. */
function compressed(most: number): Shape<Buffer> {
  const expected = 'base64 of a complete zlib stream';
  return (value, at) => {
    if (typeof value !== 'string' || !BASE64.test(value)) return refuse(at, expected, value);
    try {
      return inflateSync(Buffer.from(value, 'base64'), { maxOutputLength: most });
    } catch (error) {
      return at.refuse(at.path, `${expected} of at most ${most} bytes`, (error as Error).message);
    }
  };
}

const configSpace: Shape<Buffer> = (value, at) => {
  const bytes = compressed(4096)(value, at);
  return [64, 256, 4096].includes(bytes.length)
    ? bytes
    : at.refuse(at.path, 'a configuration space of 64, 256 or 4096 bytes', `${bytes.length} bytes`);
};

/** Anything, then devices, then what stands before the first bridge (not always pciDDDD:BB), then one PCI address after the other. */
const functionPath = text(
  /^(?:\/(?!\.)[\w.:@+-]+)*\/devices(?:\/(?!\.)[\w.:@+-]+)*?(?:\/[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])+$/,
  'a path such as /sys/devices/pci0009:00/0009:00:00.0',
);

const nameList = optional(array(fileName));

const functionFields = {
  realpath: functionPath,
  config: configSpace,
  modalias: text(MODALIAS, 'a PCI modalias such as pci:v000015B3d00001023sv000015B3sd00000040bc02sc07i00'),
  iommu_group: optionalOrNull(integer(0)),
  numa_node: optionalOrNull(integer(-1, 4095)),
  // pci_vpd_size: a VPD address has 15 bits.
  vpd: optionalOrNull(compressed(32_768)),
  subsystems: optionalOrNull(object({ drm: nameList, infiniband: nameList, net: nameList, nvme: nameList })),
  virtual: optional(functionExtension),
};
const dumpedFunction = object(functionFields);
/** Of the entry of a function, for those who make such entries up. */
export const FUNCTION_FIELDS: readonly string[] = Object.keys(functionFields);

/** rdma_topo passes over an entry whose path does not end in a PCI address, so the node's own facts can stand among the functions. */
const HOST_PATH = '/sys';
const hostEntry = object({
  realpath: text(/^\/sys$/, HOST_PATH),
  config: compressed(4096),
  modalias: text(/^$/, 'an empty string'),
  virtual: hostExtension,
});

/** A file's content as a fixture; `source` names it in errors. */
export function parseFixture(source: string, json: unknown): Fixture {
  const root: Place = {
    path: '$',
    refuse: (path, expected, got) => {
      throw new VirtualError('FIXTURE_INVALID', { file: source, path, expected, got });
    },
  };
  const entries = array((value, at) => ({ value, at }))(json, root);
  const hosts = entries.filter(({ value }) => isHostEntry(value));
  const second = hosts[1];
  if (second !== undefined) refuse(second.at, `no second entry for ${HOST_PATH}`, HOST_PATH);
  return {
    source,
    functions: functionsOf(entries.filter(({ value }) => !isHostEntry(value))),
    extension: hosts[0] && hostEntry(hosts[0].value, hosts[0].at).virtual,
  };
}

function isHostEntry(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as { realpath?: unknown }).realpath === HOST_PATH;
}

function functionsOf(entries: readonly { value: unknown; at: Place }[]): DumpedFunction[] {
  const read = entries.map(({ value, at }) => ({ at, entry: dumpedFunction(value, at) }));
  const ofPci = read.map(({ at, entry }) => ({ at, entry, function: pciFunction(entry) }));
  const ofSfs = subFunctionsOf(ofPci);
  const all = [...ofPci, ...ofSfs];
  const functions = all.map((one) => one.function);
  const places = all.map(({ at }) => at);
  refuseTwins(functions, places, (one) => [one.address]);
  refuseTwins(functions, places, (one) => (one.subFunction ? [one.subFunction.name] : []));
  refuseTwins(functions, places, (one) => one.classDevices.infiniband);
  refuseTwins(functions, places, (one) => one.classDevices.net);
  refuseOrphans(functions, places);
  return functions.toSorted((a, b) => (a.address < b.address ? -1 : 1));
}

function pciFunction(entry: ReturnType<typeof dumpedFunction>): DumpedFunction {
  const devpath = entry.realpath.slice(entry.realpath.indexOf('/devices/'));
  return {
    address: devpath.slice(devpath.lastIndexOf('/') + 1),
    devpath,
    config: entry.config,
    modalias: entry.modalias,
    iommuGroup: entry.iommu_group,
    numaNode: entry.numa_node,
    vpd: entry.vpd,
    classDevices: {
      drm: entry.subsystems?.drm ?? [],
      infiniband: entry.subsystems?.infiniband ?? [],
      net: entry.subsystems?.net ?? [],
      nvme: entry.subsystems?.nvme ?? [],
    },
    extension: entry.virtual,
    subFunction: undefined,
  };
}

interface ReadFunction {
  readonly at: Place;
  readonly entry: ReturnType<typeof dumpedFunction>;
  readonly function: DumpedFunction;
}

/** Of Mellanox, and a network controller. */
const NIC_MODALIAS = /^pci:v000015B3.*bc02/;

/** On the auxiliary bus PCI functions of mlx5 have numbers too, so those of SFs begin behind them. */
function subFunctionsOf(
  functions: readonly ReadFunction[],
): { readonly at: Place; readonly function: DumpedFunction }[] {
  for (const { at, entry } of functions) {
    const some = entry.virtual?.subFunctions ?? [];
    if (some.length > 0 && !NIC_MODALIAS.test(entry.modalias))
      refuse({ ...at, path: `${at.path}.virtual.subFunctions` }, 'no SFs, because this is no NIC', some.length);
  }
  const named = functions.flatMap(({ at, entry, function: pf }) =>
    (entry.virtual?.subFunctions ?? []).map((sf, index) => ({
      at: { ...at, path: `${at.path}.virtual.subFunctions[${index}]` },
      sf,
      pf,
    })),
  );
  const taken = new Set(named.map(({ sf }) => sf.auxiliary));
  let number = functions.length;
  const free = (): string => {
    const name = `mlx5_core.sf.${number++}`;
    return taken.has(name) ? free() : name;
  };
  return named.map(({ at, sf, pf }) => ({
    at,
    function: ofSubFunction({ ...sf, auxiliary: sf.auxiliary ?? free() }, pf),
  }));
}

function ofSubFunction(
  { sfnum, auxiliary, subsystems, ...extension }: SubFunction & { readonly auxiliary: string },
  pf: DumpedFunction,
): DumpedFunction {
  return {
    ...pf,
    address: `${pf.address}/sf${sfnum}`,
    devpath: `${pf.devpath}/${auxiliary}`,
    config: NO_CONFIG,
    vpd: undefined,
    classDevices: { drm: [], infiniband: subsystems?.infiniband ?? [], net: subsystems?.net ?? [], nvme: [] },
    extension: { ...extension, physfn: pf.address, subFunctions: undefined },
    subFunction: { sfnum, name: auxiliary },
  };
}

/** An SF is no PCI function. */
const NO_CONFIG = Buffer.alloc(64);

/** A PCI address, an RDMA device and a network interface belong to one function each. */
function refuseTwins(
  functions: readonly DumpedFunction[],
  places: readonly Place[],
  names: (one: DumpedFunction) => readonly string[],
): void {
  const owners = new Map<string, string>();
  for (const [index, one] of functions.entries()) {
    for (const name of names(one)) {
      const owner = owners.get(name);
      if (owner !== undefined) refuse(places[index]!, `a name other than that of ${owner}`, name);
      owners.set(name, one.address);
    }
  }
}

function refuseOrphans(functions: readonly DumpedFunction[], places: readonly Place[]): void {
  const addresses = new Set(functions.map((one) => one.address));
  for (const [index, one] of functions.entries()) {
    const physfn = one.extension?.physfn;
    if (physfn !== undefined && !addresses.has(physfn)) {
      const at = places[index]!;
      refuse({ ...at, path: `${at.path}.virtual.physfn` }, 'the address of a function in this file', physfn);
    }
  }
}
