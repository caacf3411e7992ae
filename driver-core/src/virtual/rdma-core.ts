// A machine's rdma-core on disk as Debian lays it out: libraries that define and need what real ones do, and have no code.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { libraryDefining, type Needs } from './shared-library.ts';

export interface VirtualRdmaCore {
  /** Where the libraries lie, below the machine's root. */
  readonly at?: string;
  /** The last symbol version of libmlx5. */
  readonly newest?: string;
  /** What libmlx5 needs, and what libibverbs needs, beside other libraries of rdma-core. */
  readonly mlx5?: Needs;
  readonly verbs?: Needs;
}

const DEBIAN = '/usr/lib/x86_64-linux-gnu';
const GLIBC: Needs = { libraries: ['libc.so.6'], versions: ['GLIBC_2.2.5', 'GLIBC_2.34'] };

/** `root`: a directory that stands for the machine's. */
export function layRdmaCore(root: string, options: VirtualRdmaCore = {}): void {
  const { at = DEBIAN, newest = 'MLX5_1.25', mlx5 = GLIBC, verbs = GLIBC } = options;
  const path = (name: string): string => join(root, at, name);
  const put = (name: string, versions: readonly string[], needs: Needs): void =>
    writeFileSync(path(name), libraryDefining(versions, needs));
  mkdirSync(path('libibverbs'), { recursive: true });
  put('libmlx5.so.1.25.56.1', ['MLX5_1.0', newest], needing(mlx5, 'libibverbs.so.1'));
  symlinkSync('libmlx5.so.1.25.56.1', path('libmlx5.so.1'));
  symlinkSync('../libmlx5.so.1.25.56.1', path('libibverbs/libmlx5-rdmav34.so'));
  put('libibverbs.so.1', ['IBVERBS_1.0', 'IBVERBS_PRIVATE_34'], needing(verbs, 'libnl-3.so.200'));
  put('libnl-3.so.200', [], { ...verbs, libraries: ['libc.so.6'] });
}

function needing(needs: Needs, library: string): Needs {
  return { ...needs, libraries: [...(needs.libraries ?? []), library] };
}
