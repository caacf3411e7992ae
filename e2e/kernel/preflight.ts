// Whether virtual machines can be had here: everything is fetched that is not cached yet.

import { BuildError } from '../../scripts/image/errors.ts';
import { RigError } from '../rig/errors.ts';
import { ensureToolchain } from './toolchain/toolchain.ts';

/** What is missing, as it reads in "the kernel suite needs …"; undefined where it can run. */
export async function obstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `Linux on x64 (this is ${process.platform} on ${process.arch})`;
  }
  try {
    await ensureToolchain((line) => console.log(line));
    return undefined;
  } catch (error) {
    if (!(error instanceof RigError || error instanceof BuildError)) throw error;
    return `QEMU and kernels out of Debian packages, which could not be had: ${error.message}`;
  }
}
