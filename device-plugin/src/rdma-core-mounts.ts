// The node's own rdma-core as mounts of every container with paths, where the administrator asks for it: images whose libmlx5 is older than
// rdma-core 54 lose data direct without a word. Which machine's is fit for that is driver-core's; what a container then finds is docs/adr/0015.
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { loaderDirectories, type RdmaCore, rdmaCoreIn, Root } from '@data-direct/driver-core';

import type { Mount } from './allocation/cdi.ts';

export interface RdmaCoreOptions {
  /** Undefined: containers keep the rdma-core of their images. */
  readonly node:
    | {
        /** Where its /usr is seen: below this. */
        readonly root: string;
        /** That images have. */
        readonly oldestGlibc: string;
      }
    | undefined;
  /** Names mlx5 to libibverbs. On the node's own disk, under the same path for us and for the container runtime. */
  readonly driverFile: string;
  readonly architecture?: NodeJS.Architecture;
  readonly onTrouble: (error: unknown) => void;
}

/** Bound in the container's own mount namespace; nothing in there may write to the node's libraries. */
const READ_ONLY = ['bind', 'ro', 'nosuid', 'nodev'];
/** libibverbs loads the providers that files of this directory name (libibverbs/dynamic_driver.c). */
const DRIVER_IN_CONTAINER = '/etc/libibverbs.d/mlx5.driver';
const DRIVER = 'driver mlx5\n';

export class RdmaCoreMounts {
  readonly #options: RdmaCoreOptions;
  #known: { readonly fingerprint: string; readonly mounts: readonly Mount[] } | undefined;

  constructor(options: RdmaCoreOptions) {
    this.#options = options;
  }

  /** As the node is now: packages are upgraded under running agents. None, and the reason told, where its rdma-core is not fit. */
  async current(): Promise<readonly Mount[]> {
    const { node, architecture = process.arch, onTrouble } = this.#options;
    if (node === undefined) return [];
    const { root, oldestGlibc } = node;
    if (this.#known !== undefined && fingerprint(root, this.#known.mounts) === this.#known.fingerprint)
      return this.#known.mounts;
    this.#known = undefined;
    try {
      const mounts = this.#mounts(await found(root, { architecture, oldestGlibc }), architecture);
      this.#writeDriver();
      this.#known = { mounts, fingerprint: fingerprint(root, mounts) };
      return mounts;
    } catch (error) {
      onTrouble(error);
      return [];
    }
  }

  /** Nothing of ours stays on a node where nothing is mounted any more, nor what an agent before us wrote. */
  remove(): void {
    this.#known = undefined;
    rmSync(this.#options.driverFile, { force: true });
  }

  /** Under the machine's own path, which is compiled into its libraries, and wherever else a container's loader looks by itself. */
  #mounts({ directory, libraries, provider }: RdmaCore, architecture: NodeJS.Architecture): Mount[] {
    const directories = new Set([directory, ...loaderDirectories(architecture)]);
    return [
      ...libraries.flatMap(({ name, file }) => [...directories].map((each) => mount(file, join(each, name)))),
      mount(provider.file, join(directory, provider.name)),
      mount(this.#options.driverFile, DRIVER_IN_CONTAINER),
    ];
  }

  #writeDriver(): void {
    const { driverFile } = this.#options;
    const part = `${driverFile}.new`;
    mkdirSync(dirname(driverFile), { recursive: true, mode: 0o700 });
    writeFileSync(part, DRIVER);
    chmodSync(part, 0o644); // past the umask: containers read it as whoever they run as
    renameSync(part, driverFile);
  }
}

async function found(directory: string, demands: Parameters<typeof rdmaCoreIn>[1]): Promise<RdmaCore> {
  const root = await Root.open(directory);
  try {
    return rdmaCoreIn(root, demands);
  } finally {
    root.close();
  }
}

function mount(hostPath: string, containerPath: string): Mount {
  return { hostPath, containerPath, options: READ_ONLY };
}

/** Of the files, and of the links that lead to them: both are replaced by an upgrade. */
function fingerprint(root: string, mounts: readonly Mount[]): string {
  const files = new Set(mounts.flatMap(({ hostPath, containerPath }) => [hostPath, containerPath]));
  return [...files].map((file) => identityOf(join(root, file))).join();
}

function identityOf(file: string): string {
  const stat = lstatSync(file, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino}:${stat.mtimeNs}:${stat.size}`;
}
