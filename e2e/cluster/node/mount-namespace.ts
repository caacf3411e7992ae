// The mounts of the node: what kubelet and containerd mount is there for pods alone, and ends with them. Its /usr is the machine's with an
// rdma-core of its own in it, as GPU nodes have; the machine's stays as it is.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { run } from '../../rig/run.ts';
import type { Toolchain } from '../toolchain/toolchain.ts';
import { rdmaCoreOfNode } from '../toolchain/rdma-core.ts';
import { layout } from './layout.ts';

/** It goes when nobody is in it any more and the file is unmounted, which unmounting all of the rig's runtime directory does. */
export async function makeMountNamespace(toolchain: Toolchain, signal?: AbortSignal): Promise<void> {
  const file = layout.mountNamespace;
  const directory = dirname(file);
  await mkdir(directory, { recursive: true });
  // Such a file can be kept on a mount that is private alone (man 1 unshare).
  await run('mount', ['--bind', '--make-private', directory, directory], { signal });
  await writeFile(file, '');
  const usr = ['-t', 'overlay', '-o', `ro,lowerdir=${rdmaCoreOfNode(toolchain)}/usr:/usr`, 'overlay', '/usr'];
  await run('unshare', [`--mount=${file}`, '--propagation', 'private', 'mount', ...usr], { signal });
}
