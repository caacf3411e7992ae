// QEMU's arguments for one machine. Everything that is not written here, QEMU is told to leave out (-nodefaults).

import type { QemuDevice, Tree } from './topology.ts';

export interface Files {
  readonly vmlinuz: string;
  readonly initramfs: string;
  /** Host folders by the name under which the guest mounts them. */
  readonly shares: Readonly<Record<ShareName, string>>;
  readonly agentSocket: string;
  readonly qmpSocket: string;
  /** What the kernel prints itself: warnings, and all of a panic. */
  readonly consoleLog: string;
  /** The whole kernel log, copied by the guest as it grows. */
  readonly kernelLog: string;
  /** What QEMU itself says. */
  readonly qemuLog: string;
}

export const shareNames = ['root', 'app', 'modules', 'work'] as const;
export type ShareName = (typeof shareNames)[number];

const memory = '768M';
/** Never KVM: what is seen is then the same on every machine, and few test machines have it. */
const processor = ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2'];

/** A panic or an oops ends the machine: a test that hangs on a broken kernel would tell nothing. */
const kernelWords = ['console=ttyS0', 'quiet', 'panic=-1', 'oops=panic'];

/** `others` are devices that the test wants besides. */
export function qemuArguments(
  files: Files,
  tree: Tree,
  others: readonly QemuDevice[],
  append: readonly string[],
): string[] {
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
    ...shareNames.map((name) => ['-fsdev', share(name, files.shares[name])]),
    // QEMU makes devices that are written as JSON in this order. The tree comes first: an IOMMU has to be there before the
    // devices behind it, and the bridges before others take their slots.
    ...[...tree.devices, ...ownDevices, ...others].map((device) => ['-device', JSON.stringify(device)]),
  ].flat();
}

const ownDevices: readonly QemuDevice[] = [
  { driver: 'virtio-serial-pci' },
  { driver: 'virtserialport', chardev: 'agent', name: 'agent' },
  { driver: 'virtserialport', chardev: 'kernel-log', name: 'kernel-log' },
  ...shareNames.map((name) => ({ driver: 'virtio-9p-pci', fsdev: name, mount_tag: name })),
];

/** Only `work` is written to. */
function share(name: ShareName, path: string): string {
  const writable = name === 'work' ? '' : ',readonly=on';
  return `local,id=${name},path=${path},security_model=none${writable}`;
}
