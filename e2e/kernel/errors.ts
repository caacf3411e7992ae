// What only the kernel rig can meet; what every rig meets is in ../rig/errors.ts.

import { errorsOf } from '../rig/errors.ts';

export const kernelError = errorsOf({
  KERNEL_SERIES_CHANGED: (f: { suite: string; wanted: string; found: string }) =>
    `Debian ${f.suite} now has ${f.found} in place of Linux ${f.wanted}: change e2e/kernel/versions.ts and look at the suite's table of errnos`,
  QEMU_SERIES_CHANGED: (f: { suite: string; wanted: string; found: string }) =>
    `Debian ${f.suite} now has QEMU ${f.found} in place of ${f.wanted}: change e2e/kernel/versions.ts`,
  QEMU_PATCH_REFUSED: (f: { model: string; found: number }) =>
    `the ids of ${f.model} are ${f.found} times in this QEMU, expected once: look at e2e/kernel/toolchain/patched-qemu.ts`,
  PACKAGE_CONTENT_MISSING: (f: { what: string; packages: readonly string[] }) =>
    `${f.what} is not in ${f.packages.join(', ')}: Debian has moved it, see e2e/kernel/toolchain`,
  MODULE_MALFORMED: (f: { file: string; problem: string }) =>
    `${f.file} is not a kernel module we can read: ${f.problem}`,
  MODULE_LOOP: (f: { names: readonly string[] }) => `kernel modules need each other: ${f.names.join(' ← ')}`,
  MODULE_UNKNOWN: (f: { name: string; neededBy: string }) =>
    `${f.neededBy} needs the kernel module ${f.name}, which the kernel's packages do not hold`,
  QMP_REFUSED: (f: { desc: string }) => `QEMU refused: ${f.desc}`,
  REQUEST_TIMED_OUT: (f: { what: string; seconds: number }) => `${f.what} had no answer within ${f.seconds} s`,
  GUEST_FAILED: (f: { name: string; message: string; stack: string }) =>
    `in the guest: ${f.name}: ${f.message}\n${f.stack}`,
  MACHINE_ENDED: (f: { how: string; logs: string }) => `the machine ended: ${f.how}\n${f.logs}`,
  MACHINE_RESET: (f: { release: string }) => `the machine (Linux ${f.release}) was reset while this ran in it`,
  BOOT_FAILED: (f: { reason: string; logs: string }) => `the machine did not come up: ${f.reason}\n${f.logs}`,
});
