// A device that somebody else opened, as driver-core sees one: so its requests go through libibverbs' own context.

import type { Device } from '../../../driver-core/src/host/host.ts';
import { refused } from '../../../driver-core/src/host/host.ts';
import { loadNative } from '../../../driver-core/src/host/native.ts';

/** The file stays its owner's to close. */
export async function borrowedDevice(fd: number): Promise<Device> {
  const native = await loadNative();
  return {
    async ioctl(request, bytes, pointers) {
      for (const { offset, target } of pointers) bytes.writeBigUInt64LE(native.address(target), offset);
      const answer = await native.callOnThread('ioctl', fd, request, bytes);
      return refused(answer) ? answer : 0;
    },
    close: () => Promise.resolve(),
  };
}
