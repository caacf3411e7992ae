// What can be done to a running virtual host, as a table: one row a change, with its words, its arguments and what the machine then does.
// A change is data, ['unbind', '0009:03:00.0'], as the CLI, the control socket and tests write it.
import { refused } from '../host/host.ts';
import type { Answer, Errno } from '../host/host.ts';
import { MLX5_CMD_OP_QUERY_HCA_CAP, MLX5_CMD_OPCODE_QUERY_VUID } from '../verbs/firmware-abi.ts';
import { setAcsControl } from './config-space.ts';
import { VirtualError } from './errors.ts';
import type { Firmware, PciFunction } from './hardware.ts';
import type { VirtualHost } from './host.ts';
import { errno, parseErrno } from './kernel/errno.ts';
import { CALLS } from './kernel/kernel.ts';
import type { Kernel, RdmaDevice } from './kernel/kernel.ts';
import { withKeyword } from './vpd.ts';

/** The name of a change and its arguments. */
export type Change = readonly string[];

interface Argument<T> {
  readonly name: string;
  readonly expected: string;
  /** undefined when the word is no such thing. */
  read(word: string, kernel: Kernel): T | undefined;
}

export interface ChangeKind {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly does: string;
  readonly run: (kernel: Kernel, words: readonly string[]) => void;
}

type Arguments<T extends readonly unknown[]> = { readonly [K in keyof T]: Argument<T[K]> };

function kind<const T extends readonly unknown[]>(
  name: string,
  args: Arguments<T>,
  does: string,
  run: (kernel: Kernel, ...values: T) => void,
): ChangeKind {
  return {
    name,
    arguments: args.map((argument: Argument<unknown>) => argument.name),
    does,
    run: (kernel, words) => run(kernel, ...(readArguments(name, args, words, kernel) as unknown as T)),
  };
}

function readArguments(
  change: string,
  args: readonly Argument<unknown>[],
  words: readonly string[],
  kernel: Kernel,
): unknown[] {
  const surplus = words[args.length];
  if (surplus !== undefined) invalid(change, 'arguments', `${args.length} of them`, surplus);
  return args.map((argument, index) => {
    const word = words[index];
    const value = word === undefined ? undefined : argument.read(word, kernel);
    return value ?? invalid(change, argument.name, argument.expected, word ?? 'nothing');
  });
}

function invalid(change: string, argument: string, expected: string, got: string): never {
  throw new VirtualError('CHANGE_INVALID', { change, argument, expected, got });
}

const anyFunction: Argument<PciFunction> = {
  name: '<address>',
  expected: 'the PCI address of a function of this machine, or one of its RDMA devices',
  read: (word, kernel) => functionCalled(word, kernel),
};
const presentNic: Argument<PciFunction & { readonly firmware: Firmware }> = {
  name: '<nic>',
  expected: 'a NIC of this machine, by PCI address or RDMA device',
  read: (word, kernel) => {
    const found = functionCalled(word, kernel);
    return found?.firmware === undefined ? undefined : (found as PciFunction & { readonly firmware: Firmware });
  },
};
const rdmaDevice: Argument<RdmaDevice> = {
  name: '<nic>',
  expected: 'a NIC with an RDMA device, by PCI address or RDMA device',
  read: (word, kernel) => {
    const nic = functionCalled(word, kernel);
    return nic && kernel.rdmaDeviceOf(nic);
  },
};
const call: Argument<(typeof CALLS)[number]> = {
  name: '<call>',
  expected: CALLS.join(' or '),
  read: (word) => CALLS.find((known) => known === word),
};
const errnoOf: Argument<Errno> = {
  name: '<errno>',
  expected: 'an errno by name or number, such as EIO or 524',
  read: (word) => parseErrno(word, 'refused on purpose'),
};
const group: Argument<{ readonly number: number | undefined }> = {
  name: '<group>',
  expected: 'an iommu group number, or none',
  read: (word) => {
    if (word === 'none') return { number: undefined };
    return /^\d{1,6}$/.test(word) ? { number: Number(word) } : undefined;
  },
};
const bytes: Argument<number> = {
  name: '<bytes>',
  expected: 'a number of bytes',
  read: (word) => (/^\d{1,5}$/.test(word) ? Number(word) : undefined),
};
const keyword: Argument<string> = {
  name: '<keyword>',
  expected: 'a VPD keyword such as V3',
  read: (word) => (/^[A-Z][A-Z0-9]$/.test(word) && word !== 'RV' ? word : undefined),
};
const value: Argument<string> = {
  name: '<value>',
  expected: '1 to 128 printable characters',
  read: (word) => (/^[\x20-\x7e]{1,128}$/.test(word) ? word : undefined),
};
const acsBits: Argument<number> = {
  name: '<bits>',
  expected: 'seven bits such as 0011101',
  read: (word) => (/^[01]{7}$/.test(word) ? Number.parseInt(word, 2) : undefined),
};
const namespaces: Argument<'shared' | 'exclusive'> = {
  name: '<mode>',
  expected: 'shared or exclusive',
  read: (word) => (word === 'shared' || word === 'exclusive' ? word : undefined),
};

/** As mlx5_ifc.h calls them. The capability data_direct itself goes with the VUID. */
const CAPABILITIES = {
  crossing_vhca_mkey: 'crossingVhcaMkey',
  query_vuid: 'queryVuid',
  log_max_uctx: 'userContexts',
  umr_extended_translation_offset: 'umrExtendedTranslationOffset',
  relaxed_ordering_write: 'relaxedOrdering',
} as const satisfies Record<string, keyof Firmware>;
const capability: Argument<(typeof CAPABILITIES)[keyof typeof CAPABILITIES]> = {
  name: '<capability>',
  expected: Object.keys(CAPABILITIES).join(' or '),
  read: (word) => Object.entries(CAPABILITIES).find(([name]) => name === word)?.[1],
};
const onOff: Argument<{ readonly on: boolean }> = {
  name: '<on|off>',
  expected: 'on or off',
  read: (word) => (word === 'on' || word === 'off' ? { on: word === 'on' } : undefined),
};
const FIRMWARE_COMMANDS = { query_hca_cap: MLX5_CMD_OP_QUERY_HCA_CAP, query_vuid: MLX5_CMD_OPCODE_QUERY_VUID };
const firmwareCommand: Argument<number> = {
  name: '<command>',
  expected: Object.keys(FIRMWARE_COMMANDS).join(' or '),
  read: (word) => Object.entries(FIRMWARE_COMMANDS).find(([name]) => name === word)?.[1],
};
const status: Argument<{ readonly code: number | undefined }> = {
  name: '<status>',
  expected: 'a status from 0x01 to 0xff, or good',
  read: (word) => {
    if (word === 'good') return { code: undefined };
    return /^0x0*[1-9a-f][0-9a-f]?$/.test(word) ? { code: Number(word) } : undefined;
  },
};
const deviceName: Argument<string> = {
  name: '<name>',
  expected: 'a name such as rxe0',
  read: (word) => (/^[a-z][a-z0-9_]{0,30}$/.test(word) ? word : undefined),
};
const limit: Argument<{ readonly most: number | undefined }> = {
  name: '<most>',
  expected: 'a number, or none',
  read: (word) => {
    if (word === 'none') return { most: undefined };
    return /^\d{1,5}$/.test(word) ? { most: Number(word) } : undefined;
  },
};

/** By address, by the RDMA device that it has, or by the one that the fixture gave it. */
function functionCalled(word: string, kernel: Kernel): PciFunction | undefined {
  return (
    kernel.hardware.get(word) ??
    kernel.rdmaDevices().find((device) => device.name === word)?.nic ??
    [...kernel.hardware.values()].find((one) => one.names.infiniband.includes(word))
  );
}

export const CHANGES: readonly ChangeKind[] = [
  kind('unbind', [anyFunction], 'take the driver away, as echo <address> > driver/unbind does', (kernel, one) => {
    insist('unbind', one, kernel.unbind(one));
  }),
  kind('bind', [anyFunction], 'give it to its driver again', (kernel, one) => {
    insist('bind', one, kernel.bind(one));
  }),
  kind('remove', [anyFunction], 'take it off the bus, with everything below it', (kernel, one) => {
    if (!one.present) refuse('remove', one, 'it is not on the bus');
    kernel.remove(one);
  }),
  kind('add', [anyFunction], 'put it back on the bus and probe it', (kernel, one) => {
    if (one.present) refuse('add', one, 'it is on the bus');
    const parent = [...kernel.hardware.values()].find((other) => one.devpath === `${other.devpath}/${one.address}`);
    if (parent?.present === false) refuse('add', one, `its parent ${parent.address} is not on the bus`);
    const pf = kernel.hardware.get(one.physfn ?? '');
    if (pf !== undefined && kernel.driverOf(pf) === undefined) refuse('add', one, `its PF ${pf.address} has no driver`);
    kernel.add(one);
  }),
  kind('port-down', [presentNic], 'the port loses its link (no uevent: the kernel sends none)', (_kernel, nic) => {
    nic.firmware.portState = 'DOWN';
  }),
  kind('port-up', [presentNic], 'the port is active again', (_kernel, nic) => {
    nic.firmware.portState = 'ACTIVE';
  }),
  kind('regroup', [anyFunction, group], 'move it to another iommu group, or to none', (_kernel, one, { number }) => {
    one.iommuGroup = number;
  }),
  kind('acs', [anyFunction, acsBits], 'write the ACS control bits 6..0 of a port', (_kernel, port, bits) => {
    if (!setAcsControl(port.config, bits)) refuse('acs', port, 'it has no ACS capability');
  }),
  kind('vpd-truncate', [anyFunction, bytes], 'let the VPD end after so many bytes', (_kernel, one, length) => {
    one.vpd = withVpd('vpd-truncate', one).subarray(0, length);
  }),
  kind('vpd-set', [anyFunction, keyword, value], 'change one keyword of the VPD', (_kernel, one, word, text) => {
    one.vpd = withKeyword(withVpd('vpd-set', one), word, text);
  }),
  kind('vpd-unreadable', [anyFunction], 'reading the VPD ends in EIO', (_kernel, one) => {
    withVpd('vpd-unreadable', one);
    one.vpdRefusal = errno('EIO', one.address);
  }),
  kind('vpd-restore', [anyFunction], 'the VPD is as the fixture has it', (_kernel, one) => {
    one.vpd = one.intactVpd;
    one.vpdRefusal = undefined;
  }),
  kind(
    'vuid',
    [presentNic, value],
    'what the firmware answers to QUERY_VUID, or none; asked at the next bind',
    (_kernel, nic, text) => {
      nic.firmware.dataDirectVuid = text === 'none' ? undefined : text;
    },
  ),
  kind(
    'capability',
    [presentNic, capability, onOff],
    'what the firmware can; the driver looks at the next bind, and at a registration',
    (_kernel, nic, name, { on }) => {
      nic.firmware[name] = on;
    },
  ),
  kind(
    'firmware-refuse',
    [presentNic, firmwareCommand, status],
    'answer a command of user space (DEVX, fwctl) with this status; good again with good',
    (_kernel, nic, opcode, { code }) => {
      if (code === undefined) nic.firmware.refusesUsers.delete(opcode);
      else nic.firmware.refusesUsers.set(opcode, code);
    },
  ),
  kind('hide-uverbs', [rdmaDevice], 'take the uverbs node away, as without ib_uverbs', (kernel, device) => {
    kernel.setUverbs(device, false);
  }),
  kind('show-uverbs', [rdmaDevice], 'bring the uverbs node back', (kernel, device) => {
    kernel.setUverbs(device, true);
  }),
  kind('refuse', [presentNic, call, errnoOf], 'answer one call with this errno', (kernel, nic, name, refusal) => {
    kernel.refuse(nic, name, refusal);
  }),
  kind('allow', [presentNic], 'answer every call again as the kernel does', (kernel, nic) => {
    kernel.allow(nic);
  }),
  kind('wedge', [anyFunction], 'let every call that reaches it block', (_kernel, one) => {
    one.wedged = true;
  }),
  kind('unwedge', [anyFunction], 'let it answer again', (_kernel, one) => {
    one.wedged = false;
  }),
  kind('rxe-add', [deviceName], 'make a software RDMA device, as rdma link add <name> type rxe', (kernel, name) => {
    if (!kernel.addSoftwareDevice(name)) invalid('rxe-add', '<name>', 'a name that no RDMA device has', name);
  }),
  kind('rxe-remove', [deviceName], 'take it away again', (kernel, name) => {
    if (!kernel.removeSoftwareDevice(name)) invalid('rxe-remove', '<name>', 'a software RDMA device', name);
  }),
  kind(
    'smi-add',
    [rdmaDevice, deviceName],
    'make its second RDMA device, as rdma dev add <name> type SMI parent <nic>',
    (kernel, device, name) => {
      insist('smi-add', device.nic, kernel.addSmiDevice(device, name));
    },
  ),
  kind('smi-remove', [deviceName], 'take it away again', (kernel, name) => {
    if (!kernel.removeSmiDevice(name)) invalid('smi-remove', '<name>', 'an RDMA device of type SMI', name);
  }),
  kind('rdma-limit', [limit], 'how many contexts and objects the RDMA cgroup grants', (kernel, { most }) => {
    kernel.rdmaLimit = most;
  }),
  kind('rdma-namespaces', [namespaces], 'as `rdma system set netns`', (kernel, mode) => {
    kernel.rdmaNamespaces = mode;
  }),
];

function insist(change: string, one: PciFunction, answer: Answer<0>): void {
  if (refused(answer)) refuse(change, one, `the kernel answers ${answer.code} (${answer.what})`);
}

function refuse(change: string, one: PciFunction, problem: string): never {
  throw new VirtualError('CHANGE_REFUSED', { change, address: one.address, problem });
}

function withVpd(change: string, one: PciFunction): Buffer {
  return one.vpd ?? refuse(change, one, 'it has no VPD');
}

/** Does it, or throws a VirtualError that names what was wrong. With `lose`, listeners learn only that they missed uevents. */
export function applyChange(host: VirtualHost, change: Change, lose = false): void {
  const [name = '', ...words] = change;
  const found = CHANGES.find((each) => each.name === name);
  if (found === undefined)
    invalid(name === '' ? 'change' : name, 'change', CHANGES.map((each) => each.name).join(', '), name);
  host.alter((kernel) => found.run(kernel, words), lose);
}

/** One line a function that a change can name. */
export interface Part {
  readonly address: string;
  readonly kind: string;
  readonly present: boolean;
  readonly driver: string | undefined;
  readonly rdmaDevice: string | undefined;
  readonly portState: string | undefined;
  readonly iommuGroup: number | undefined;
  readonly wedged: boolean;
}

/** What there is to change. Bridges are left out: a tray has dozens. */
export function partsOf(host: VirtualHost): Part[] {
  const { kernel } = host;
  return [...kernel.hardware.values()]
    .filter((one) => one.kind !== 'bridge')
    .map((one) => ({
      address: one.address,
      kind: one.kind,
      present: one.present,
      driver: kernel.driverOf(one),
      rdmaDevice: kernel.rdmaDeviceOf(one)?.name,
      portState: one.firmware?.portState,
      iommuGroup: one.iommuGroup,
      wedged: one.wedged,
    }));
}
