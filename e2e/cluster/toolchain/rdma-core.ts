// Two rdma-cores out of Debian: the node's, which knows data direct, and that of an image which does not.

import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostArchitecture } from '../../../scripts/image/architectures.ts';
import { writeImageArchive } from '../../../scripts/image/oci.ts';
import { DebianArchive } from '../../rig/debian-archive.ts';
import type { TestImage } from '../images/test-images.ts';
import type { Part } from './parts.ts';

const OLD = 'bookworm'; // rdma-core 44
const NEW = 'trixie'; // 56
const rdmaCore = ['ibverbs-providers', 'libibverbs1', 'libnl-3-200', 'libnl-route-3-200'];
/** perl has dlopen and dlsym as functions, and needs no file beside its program for them. */
const perl = ['libc6', 'libcrypt1', 'perl-base'];
/** Half of the image's size, and nothing reads it. */
const unread = ['usr/share', 'usr/lib/x86_64-linux-gnu/gconv', 'usr/lib/x86_64-linux-gnu/perl-base'];
const directoryOfNode = 'node';

/** An image of last year: its rdma-core is older than 54, its glibc new enough for that of the node. */
export const oldImage: TestImage = {
  archive: 'data-direct-old-rdma-core.tar',
  reference: 'localhost/data-direct-old-rdma-core:1',
  config: { Cmd: ['/usr/bin/perl', '-e', 'sleep'], Env: ['PATH=/usr/bin', 'LC_ALL=C'] },
};

/** To be laid over the machine's root. */
export function rdmaCoreOfNode(toolchain: { readonly 'rdma-core': string }): string {
  return join(toolchain['rdma-core'], directoryOfNode);
}

export const rdmaCorePart: Part = {
  name: 'rdma-core',
  version: '1',
  about: `fetching rdma-core of Debian ${OLD} and ${NEW}`,
  inputs: async () => [process.arch, await readFile(import.meta.filename, 'utf8')],
  async build(directory) {
    const work = await mkdtemp(join(tmpdir(), 'data-direct-rdma-core-'));
    const archive = await DebianArchive.open([OLD, NEW]);
    try {
      await archive.unpack(rdmaCore, NEW, join(directory, directoryOfNode));
      await archive.unpack(perl, NEW, work);
      await archive.unpack(rdmaCore, OLD, work);
      for (const path of unread) await rm(join(work, path), { recursive: true });
      await symlink('usr/lib64', join(work, 'lib64')); // where programs look for their loader
      const image = { architecture: hostArchitecture(), layers: [work], config: oldImage.config };
      await writeImageArchive(join(directory, oldImage.archive), oldImage.reference, image);
    } finally {
      await archive.close();
      await rm(work, { recursive: true, force: true });
    }
  },
};
