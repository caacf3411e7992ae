// QEMU's arguments for one machine. Everything that is not written here, QEMU is told to leave out (-nodefaults).

import { type Files, type ShareName, shareNames } from './files.ts';
import type { QemuDevice, Tree } from './topology.ts';

export interface Devices {
  readonly tree: Tree;
  readonly otherDevices: readonly QemuDevice[];
  /** More words for the kernel's command line. */
  readonly append: readonly string[];
  /** A virtio console on terminalSocket. */
  readonly terminal: boolean;
}

const memory = '768M';
/** Never KVM: what is seen is then the same on every machine, and few test machines have it. */
const processor = ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2'];

/**
 * A panic or an oops ends the machine: a test that hangs on a broken kernel would tell nothing. The kernel's test of the timer is left out
 * because it counts ticks, of which a machine without KVM on busy cores may miss some, and panics behind an IOMMU. Grace periods of RCU are
 * hurried: a driver waits for a dozen of them where it lets go of a NIC, a second here in place of a third of one.
 */
const kernelWords = ['console=ttyS0', 'quiet', 'panic=-1', 'oops=panic', 'no_timer_check', 'rcupdate.rcu_expedited=1'];

export function qemuArguments(files: Files, { tree, otherDevices, append, terminal }: Devices): string[] {
  const devices = [...tree.devices, ...ownDevices, ...(terminal ? [terminalDevice] : []), ...otherDevices];
  return [
    ['-nodefaults', '-display', 'none', '-no-reboot'],
    [...processor, '-m', memory],
    // Shared, so that vfio-user servers can map it; split, because the IOMMU remaps interrupts.
    ['-object', `memory-backend-memfd,id=memory,size=${memory},share=on`],
    ['-machine', 'q35,memory-backend=memory,kernel-irqchip=split'],
    ['-kernel', files.vmlinuz, '-initrd', files.initramfs],
    ['-append', [...kernelWords, ...tree.append, ...append].join(' ')],
    ['-chardev', `file,id=console,path=${files.consoleLog}`, '-serial', 'chardev:console'],
    ['-chardev', `socket,id=qmp,path=${files.qmpSocket}`, '-object', 'monitor-qmp,id=monitor,chardev=qmp'],
    ['-chardev', `socket,id=agent,path=${files.agentSocket}`],
    ['-chardev', `file,id=kernel-log,path=${files.kernelLog}`],
    terminal ? ['-chardev', `socket,id=terminal,path=${files.terminalSocket},server=on,wait=off`] : [],
    ...shareNames.map((name) => ['-fsdev', share(name, files.shares[name])]),
    // QEMU makes devices that are written as JSON in this order. The tree comes first: an IOMMU has to be there before the
    // devices behind it, and the bridges before others take their slots.
    ...devices.map((device) => ['-device', JSON.stringify(device)]),
  ].flat();
}

const ownDevices: readonly QemuDevice[] = [
  { driver: 'virtio-serial-pci' },
  { driver: 'virtserialport', chardev: 'agent', name: 'agent' },
  { driver: 'virtserialport', chardev: 'kernel-log', name: 'kernel-log' },
  ...shareNames.map((name) => ({ driver: 'virtio-9p-pci', fsdev: name, mount_tag: name })),
];

/** /dev/hvc0. */
const terminalDevice: QemuDevice = { driver: 'virtconsole', chardev: 'terminal' };

/** Only `work` is written to. */
function share(name: ShareName, path: string): string {
  const writable = name === 'work' ? '' : ',readonly=on';
  return `local,id=${name},path=${path},security_model=none${writable}`;
}
