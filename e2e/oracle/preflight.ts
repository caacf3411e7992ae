// Whether the oracles can be asked here: what they are made of is fetched or installed where it is missing.

import { BuildError } from '../../scripts/image/errors.ts';
import { ensureInstalled } from '../rig/debian-install.ts';
import { RigError } from '../rig/errors.ts';
import { ensureOracles, type Oracles } from './toolchain.ts';

const report = (line: string): void => console.log(line);

/** The oracles, or what is missing, as it reads in "the oracle suite needs …". */
export async function prepare(): Promise<Oracles | string> {
  if (process.platform !== 'linux') return `Linux (this is ${process.platform})`;
  try {
    await ensureInstalled(
      [
        { file: 'python3', package: 'python3' },
        { file: 'gcc', package: 'gcc' },
        { file: '/usr/include/stdio.h', package: 'libc6-dev' },
        { file: 'readelf', package: 'binutils' },
      ],
      report,
    );
    return await ensureOracles(report);
  } catch (error) {
    if (!(error instanceof RigError || error instanceof BuildError)) throw error;
    return `python3, gcc, rdma_topo and the kernel's headers out of Debian packages, which could not be had: ${error.message}`;
  }
}
