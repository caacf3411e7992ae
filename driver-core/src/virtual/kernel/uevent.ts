// The messages that the kernel broadcasts (NETLINK_KOBJECT_UEVENT), key for key: kobject_uevent_env, then dev_uevent, then the bus's own.
import type { Uevent } from '../../host/host.ts';
import { SF_DRIVER } from '../derive.ts';
import type { PciFunction } from '../hardware.ts';

export type Action = 'add' | 'remove' | 'bind' | 'unbind';
type Env = Readonly<Record<string, string>>;
/** All but the sequence number, which is given when it is sent. */
export type Announcement = Extract<Uevent, { kind: 'event' }>;

function announce(action: Action, devpath: string, subsystem: string, env: Env): Announcement {
  return { kind: 'event', action, devpath, env: { ACTION: action, DEVPATH: devpath, SUBSYSTEM: subsystem, ...env } };
}

/** Of a PCI function, or of an SF, which is on the auxiliary bus. */
export function functionEvent(action: Action, one: PciFunction, driver?: string): Announcement {
  return one.subFunction ? auxiliary(action, one.devpath, SF_DRIVER, driver) : pciEvent(action, one, driver);
}

/** pci_uevent (drivers/pci/pci-driver.c). The kernel takes MODALIAS out of every unbind (zap_modalias_env), and by then the driver is gone. */
function pciEvent(action: Action, one: PciFunction, driver?: string): Announcement {
  const { ids } = one;
  return announce(action, one.devpath, 'pci', {
    ...(action === 'bind' && driver !== undefined ? { DRIVER: driver } : {}),
    PCI_CLASS: ids.class.toString(16).toUpperCase(),
    PCI_ID: `${hex4(ids.vendor)}:${hex4(ids.device)}`,
    PCI_SUBSYS_ID: `${hex4(ids.subsystemVendor)}:${hex4(ids.subsystemDevice)}`,
    PCI_SLOT_NAME: one.address,
    ...(action === 'unbind' ? {} : { MODALIAS: one.modalias }),
  });
}

function hex4(id: number): string {
  return id.toString(16).toUpperCase().padStart(4, '0');
}

/** The auxiliary device by which mlx5_core hands an RDMA function to mlx5_ib (drivers/base/auxiliary.c). */
export function auxiliaryEvent(action: Action, parent: PciFunction, index: number): Announcement {
  return auxiliary(action, `${parent.devpath}/mlx5_core.rdma.${index}`, 'mlx5_core.rdma', 'mlx5_ib.rdma');
}

function auxiliary(action: Action, devpath: string, device: string, driver: string | undefined): Announcement {
  return announce(action, devpath, 'auxiliary', {
    ...(action === 'bind' && driver !== undefined ? { DRIVER: driver } : {}),
    ...(action === 'unbind' ? {} : { MODALIAS: `auxiliary:${device}` }),
  });
}

export interface ClassDevice {
  readonly subsystem: string;
  readonly name: string;
  /** Character device numbers and node, for those that have one. */
  readonly node?: { readonly major: number; readonly minor: number; readonly path: string };
}

/** A class device below a PCI function, such as …/infiniband_verbs/uverbs0. */
export function classEvent(action: 'add' | 'remove', parent: PciFunction, device: ClassDevice): Announcement {
  const { subsystem, name, node } = device;
  return announce(action, `${parent.devpath}/${subsystem}/${name}`, subsystem, {
    ...(node && { MAJOR: `${node.major}`, MINOR: `${node.minor}`, DEVNAME: node.path }),
    ...(subsystem === 'infiniband' ? { NAME: name } : {}),
    ...(subsystem === 'net' ? { INTERFACE: name } : {}),
  });
}
