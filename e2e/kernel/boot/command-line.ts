// QEMU's arguments for one machine. Everything that is not written here, QEMU is told to leave out (-nodefaults).

import type { Words } from './topology.ts';

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

export function qemuArguments(files: Files, topology: Words, more: Words): string[] {
  return [
    ['-nodefaults', '-display', 'none', '-no-reboot'],
    [...processor, '-m', memory],
    // Shared, so that vfio-user servers can map it; split, because the IOMMU remaps interrupts.
    ['-object', `memory-backend-memfd,id=memory,size=${memory},share=on`],
    ['-machine', 'q35,memory-backend=memory,kernel-irqchip=split'],
    ['-kernel', files.vmlinuz, '-initrd', files.initramfs],
    ['-append', [...kernelWords, ...topology.kernel, ...more.kernel].join(' ')],
    topology.qemu, // an IOMMU has to come before the devices behind it
    ['-chardev', `file,id=console,path=${files.consoleLog}`, '-serial', 'chardev:console'],
    ['-chardev', `socket,id=qmp,path=${files.qmpSocket}`, '-object', 'monitor-qmp,id=monitor,chardev=qmp'],
    ['-device', 'virtio-serial-pci'],
    ['-chardev', `socket,id=agent,path=${files.agentSocket}`],
    ['-device', 'virtserialport,chardev=agent,name=agent'],
    ['-chardev', `file,id=kernel-log,path=${files.kernelLog}`],
    ['-device', 'virtserialport,chardev=kernel-log,name=kernel-log'],
    ...shareNames.flatMap((name) => ['-virtfs', share(name, files.shares[name])]),
    more.qemu,
  ].flat();
}

/** Only `work` is written to. */
function share(name: ShareName, path: string): string {
  const writable = name === 'work' ? '' : ',readonly=on';
  return `local,path=${path},mount_tag=${name},security_model=none${writable}`;
}
