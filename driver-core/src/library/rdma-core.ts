// The machine's own rdma-core as a set of files that a container can be given in place of its own: libibverbs, libmlx5 and what they
// need. Refused, with the reason, where that would help nobody or keep programs from starting.
import { basename, join } from 'node:path';

import { refused } from '../host/host.ts';
import { definedVersions, dependencies } from './elf.ts';
import type { RootFile, Root } from './root.ts';
import { NEEDED_VERSION } from './runtime-library.ts';

type RdmaCoreErrorCode = 'RDMA_CORE_MISSING' | 'RDMA_CORE_TOO_OLD' | 'RDMA_CORE_UNFIT';

class RdmaCoreError extends Error {
  readonly code: RdmaCoreErrorCode;

  constructor(code: RdmaCoreErrorCode, problem: string) {
    super(`this machine’s rdma-core is not given to containers: ${problem}`);
    this.name = 'RdmaCoreError';
    this.code = code;
  }
}

export interface RdmaCore {
  /** Where the machine's loader finds the libraries. */
  readonly directory: string;
  readonly libraries: readonly LibraryFile[];
  /** libibverbs looks for it under the directory that was compiled into it, which is the machine's. */
  readonly provider: LibraryFile;
}

interface LibraryFile {
  /** As it is asked for, such as libmlx5.so.1, below `directory`. */
  readonly name: string;
  /** The file itself, behind all links. */
  readonly file: string;
}

export interface Demands {
  readonly architecture: NodeJS.Architecture;
  /** The oldest that containers have, such as 2.34: a library that needs a newer one keeps every program from starting that loads it. */
  readonly oldestGlibc: string;
}

interface Machine {
  /** e_machine (System V ABI). */
  readonly number: number;
  /** Where loaders look without a word from anybody: Debian's multi-arch directory, and that of Red Hat and SUSE. */
  readonly directories: readonly string[];
}

const MACHINES: Partial<Record<NodeJS.Architecture, Machine>> = {
  x64: { number: 62, directories: ['/usr/lib/x86_64-linux-gnu', '/usr/lib64'] },
  arm64: { number: 183, directories: ['/usr/lib/aarch64-linux-gnu', '/usr/lib64'] },
};

/** Directories in which a container's loader finds a library that nobody has told it of. */
export function loaderDirectories(architecture: NodeJS.Architecture): readonly string[] {
  return MACHINES[architecture]?.directories ?? [];
}

const MLX5 = 'libmlx5.so.1';
/** What applications load of rdma-core for mlx5; librdmacm is built with libibverbs and may use its private symbols. */
const ASKED_FOR = [MLX5, 'libibverbs.so.1'] as const;
const ALSO = ['librdmacm.so.1'] as const;
/** Of glibc: the container's own. */
const OF_GLIBC = /^(lib(c|m|dl|rt|pthread|resolv)\.so\.\d+|ld-linux-.*\.so\.\d+)$/;

/** Throws RdmaCoreError, and ElfError for a file that is no library. */
export function rdmaCoreIn(root: Root, { architecture, oldestGlibc }: Demands): RdmaCore {
  const directories = loaderDirectories(architecture);
  const directory = directories.find((each) => !refused(root.read(join(each, MLX5))));
  if (directory === undefined)
    throw new RdmaCoreError(
      'RDMA_CORE_MISSING',
      `no ${MLX5} in ${directories.join(' or ') || 'any directory we know'}`,
    );
  const files = closure(root, directory);
  const mlx5 = files.get(MLX5);
  const verbs = files.get('libibverbs.so.1');
  if (!mlx5 || !verbs) throw new TypeError('the closure holds what it was begun with');
  insistOnMachine(files, MACHINES[architecture]?.number);
  insistOnDataDirect(mlx5);
  insistOnGlibc(files, oldestGlibc);
  return {
    directory,
    libraries: [...files].map(([name, { path }]) => ({ name, file: path })),
    provider: providerOf(root, directory, verbs),
  };
}

/** All by the names that loaders ask for. */
function closure(root: Root, directory: string): Map<string, RootFile> {
  const found = new Map<string, RootFile>();
  const optional = ALSO.filter((name) => !refused(root.read(join(directory, name))));
  const wanted: { name: string; by: string }[] = [...ASKED_FOR, ...optional].map((name) => ({ name, by: 'everybody' }));
  for (let next = wanted.shift(); next; next = wanted.shift()) {
    const { name, by } = next;
    if (found.has(name) || OF_GLIBC.test(name)) continue;
    const file = name.includes('/') ? undefined : root.read(join(directory, name));
    if (file === undefined || refused(file))
      throw new RdmaCoreError('RDMA_CORE_MISSING', `${name}, which ${by} needs, is not in ${directory}`);
    found.set(name, file);
    wanted.push(...dependencies(file.bytes, file.path).libraries.map((each) => ({ name: each, by: file.path })));
  }
  return found;
}

function insistOnMachine(files: ReadonlyMap<string, RootFile>, expected: number | undefined): void {
  for (const { bytes, path } of files.values()) {
    const { machine } = dependencies(bytes, path);
    if (machine === expected) continue;
    throw new RdmaCoreError(
      'RDMA_CORE_UNFIT',
      `${path} is for another architecture (ELF machine ${machine}, expected ${expected})`,
    );
  }
}

function insistOnDataDirect({ bytes, path }: RootFile): void {
  const versions = definedVersions(bytes, path);
  if (versions.includes(NEEDED_VERSION)) return;
  throw new RdmaCoreError(
    'RDMA_CORE_TOO_OLD',
    `${path} lacks ${NEEDED_VERSION} and is older than rdma-core 54; its newest version is ${versions.at(-1) ?? 'none at all'}`,
  );
}

function insistOnGlibc(files: ReadonlyMap<string, RootFile>, oldest: string): void {
  for (const { bytes, path } of files.values())
    for (const version of dependencies(bytes, path).versions) {
      const needed = /^GLIBC_(\d+(?:\.\d+)+)$/.exec(version)?.[1];
      if (needed === undefined || !isNewer(needed, oldest)) continue;
      throw new RdmaCoreError(
        'RDMA_CORE_UNFIT',
        `${path} needs glibc ${needed}, containers are said to have ${oldest} or newer`,
      );
    }
}

/** CMakeLists.txt, IBVERBS_PROVIDER_SUFFIX: the number is that of libibverbs's private symbols. */
function providerOf(root: Root, directory: string, verbs: RootFile): LibraryFile {
  const abi = definedVersions(verbs.bytes, verbs.path)
    .map((version) => /^IBVERBS_PRIVATE_(\d+)$/.exec(version)?.[1])
    .find((number) => number !== undefined);
  const name = `libibverbs/libmlx5-rdmav${abi}.so`;
  const file = root.read(join(directory, name));
  if (abi !== undefined && !refused(file)) return { name, file: file.path };
  throw new RdmaCoreError('RDMA_CORE_MISSING', `${name}, which ${basename(verbs.path)} loads, is not in ${directory}`);
}

function isNewer(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split('.').map(Number));
  for (const [index, number] of (left ?? []).entries()) {
    const other = right?.[index] ?? 0;
    if (number !== other) return number > other;
  }
  return false;
}
