// The two architectures we build for, and what npm, Debian and ELF call them.

import { BuildError } from './errors.ts';

/** The word of OCI images, Dockerfiles and Debian. */
export type Architecture = 'amd64' | 'arm64';

export interface ArchitectureFacts {
  /** process.arch, and the last part of the names of npm's platform packages. */
  readonly npm: string;
  /** Debian's library directory: /lib/<triplet>. */
  readonly triplet: string;
  /** e_machine of an ELF file (elf.h: EM_X86_64, EM_AARCH64). */
  readonly elfMachine: number;
  /** QEMU's word. */
  readonly qemu: string;
  /** The largest page a kernel of this architecture may use. Grace machines commonly run 64 KiB pages. */
  readonly largestPage: number;
}

/** Every architecture has kernels with pages of this size. */
export const smallestPage = 0x1000;

export const architectures: Readonly<Record<Architecture, ArchitectureFacts>> = {
  amd64: { npm: 'x64', triplet: 'x86_64-linux-gnu', elfMachine: 62, qemu: 'x86_64', largestPage: smallestPage },
  arm64: { npm: 'arm64', triplet: 'aarch64-linux-gnu', elfMachine: 183, qemu: 'aarch64', largestPage: 0x10000 },
};

export const allArchitectures = Object.keys(architectures) as readonly Architecture[];

/** Words of a command line. */
export function parseArchitectures(words: readonly string[]): Architecture[] {
  return words.map((word) => {
    const found = allArchitectures.find((architecture) => architecture === word);
    if (found === undefined) throw new BuildError('ARCHITECTURE_UNKNOWN', { found: word, known: allArchitectures });
    return found;
  });
}

/** The one of this machine. */
export function hostArchitecture(): Architecture {
  const host = allArchitectures.find((architecture) => architectures[architecture].npm === process.arch);
  if (host === undefined)
    throw new BuildError('ARCHITECTURE_UNKNOWN', { found: process.arch, known: allArchitectures });
  return host;
}
