// Whether the libmlx5 that a container brings along can do data direct. One that cannot loses it without a word: NCCL looks the
// function up by name and symbol version, and goes on without it.
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { refused } from '../host/host.ts';
import { definedVersions } from './elf.ts';
import { Root } from './root.ts';

/** The version of mlx5dv_reg_dmabuf_mr and mlx5dv_get_data_direct_sysfs_path (rdma-core 54, providers/mlx5/libmlx5.map). */
export const NEEDED_VERSION = 'MLX5_1.25';
/** That has it. */
const FIRST_RDMA_CORE = 54;
const LIBRARY = 'libmlx5.so.1';

export interface RuntimeLibrary {
  /** As the container sees it, behind all links. */
  readonly path: string;
  /** Of rdma-core, as the file's name tells it: libmlx5.so.1.24.44.0 is of 44.0. Undefined too where another file is mounted over it. */
  readonly rdmaCore: string | undefined;
  /** The last symbol version that it defines. */
  readonly newest: string | undefined;
  readonly knowsDataDirect: boolean;
}

export class ProcessError extends Error {
  readonly code = 'PROCESS_UNREADABLE';
  readonly pid: number;

  constructor(pid: number, cause: unknown) {
    const { code } = cause as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' || code === 'ESRCH' ? 'there is no such process' : 'root may look into it';
    super(`process ${pid} cannot be looked into: ${problem}`, { cause });
    this.name = 'ProcessError';
    this.pid = pid;
  }
}

/** Where loaders look without a word from anybody: Debian's multi-arch directories, those of Red Hat and SUSE, and the plain ones. */
const USUAL_DIRECTORIES = [
  '/usr/local/lib',
  ...['x86_64-linux-gnu', 'aarch64-linux-gnu'].flatMap((machine) => [
    `/usr/local/lib/${machine}`,
    `/lib/${machine}`,
    `/usr/lib/${machine}`,
  ]),
  '/usr/local/lib64',
  '/lib64',
  '/usr/lib64',
  '/lib',
  '/usr/lib',
] as const;

/** Undefined where the process's root has none in any usual place. Throws ProcessError, and ElfError for one that is no library. */
export async function runtimeLibraryOf(pid: number, procRoot = '/proc'): Promise<RuntimeLibrary | undefined> {
  const process = join(procRoot, String(pid));
  const { root, asked } = await entered(pid, process);
  try {
    return runtimeLibraryIn(root, asked);
  } finally {
    root.close();
  }
}

/** `first` is looked through before the usual directories. */
export function runtimeLibraryIn(root: Root, first: readonly string[] = []): RuntimeLibrary | undefined {
  for (const directory of [...first, ...USUAL_DIRECTORIES]) {
    const file = root.read(join(directory, LIBRARY));
    if (refused(file)) continue;
    const versions = definedVersions(file.bytes, file.path);
    const knowsDataDirect = versions.includes(NEEDED_VERSION);
    const named = /^libmlx5\.so\.1\.\d+\.(\d+\.\d+)$/.exec(basename(file.path))?.[1];
    return {
      path: file.path,
      rdmaCore: Number(named) >= FIRST_RDMA_CORE === knowsDataDirect ? named : undefined,
      newest: versions.at(-1),
      knowsDataDirect,
    };
  }
  return undefined;
}

async function entered(pid: number, process: string): Promise<{ root: Root; asked: string[] }> {
  try {
    const asked = libraryPathOf(readFileSync(join(process, 'environ'), 'latin1'));
    return { root: await Root.open(join(process, 'root')), asked };
  } catch (error) {
    throw new ProcessError(pid, error);
  }
}

/** LD_LIBRARY_PATH as the process was started with it. Relative directories have no meaning without its working directory. */
function libraryPathOf(environ: string): string[] {
  const variable = environ.split('\0').find((entry) => entry.startsWith('LD_LIBRARY_PATH='));
  const directories = variable?.slice('LD_LIBRARY_PATH='.length).split(/[:;]/) ?? [];
  return directories.filter((directory) => directory.startsWith('/'));
}
