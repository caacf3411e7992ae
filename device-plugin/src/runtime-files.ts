// What the container runtime finds on the node when it starts a container: CDI files, links to device nodes, the node's rdma-core.
// All of it is made before the kubelet is told of the devices.
import { cdiSpec } from './allocation/cdi.ts';
import type { HostPath } from './allocation/device-specs.ts';
import { CdiDirectory } from './cdi-directory.ts';
import { DeviceLinks } from './device-links.ts';
import { heldPaths, type PodResources } from './kubelet/pod-resources.ts';
import type { OnTrouble } from './node-object.ts';
import type { Assignment } from './pool.ts';
import { RdmaCoreMounts, type RdmaCoreOptions } from './rdma-core-mounts.ts';

export interface RuntimeFilesOptions {
  /** The node's /dev, or a virtual host's. */
  readonly deviceDir: string;
  /** Undefined: containers are given device nodes alone. */
  readonly cdiDir: string | undefined;
  /** Undefined: containers are given device nodes by their own names. */
  readonly linkDir: string | undefined;
  readonly rdmaCore: Omit<RdmaCoreOptions, 'onTrouble'> | undefined;
  readonly podResources: PodResources;
  readonly onTrouble: OnTrouble;
}

export class RuntimeFiles {
  readonly #deviceDir: string;
  readonly #cdi: CdiDirectory | undefined;
  readonly #links: DeviceLinks | undefined;
  readonly #rdmaCore: RdmaCoreMounts | undefined;

  constructor({ deviceDir, cdiDir, linkDir, rdmaCore, podResources, onTrouble }: RuntimeFilesOptions) {
    this.#deviceDir = deviceDir;
    if (cdiDir !== undefined)
      this.#cdi = new CdiDirectory({
        directory: cdiDir,
        held: () => heldPaths(podResources),
        onTrouble: (error) => onTrouble('cdi', error),
      });
    if (linkDir !== undefined)
      this.#links = new DeviceLinks({
        directory: linkDir,
        deviceDir,
        held: async () => {
          const held = await heldPaths(podResources);
          return held && new Set([...held.values()].flatMap((ids) => [...ids]));
        },
        onTrouble: (error) => onTrouble('devices', error),
      });
    if (rdmaCore !== undefined)
      this.#rdmaCore = new RdmaCoreMounts({ ...rdmaCore, onTrouble: (error) => onTrouble('rdma-core', error) });
  }

  async publish(assignment: Assignment): Promise<void> {
    const mounts = assignment.pools.length === 0 ? [] : ((await this.#rdmaCore?.current()) ?? []);
    await this.#cdi?.publish(
      assignment.pools.map((pool) => cdiSpec(pool, this.#deviceDir)),
      mounts,
    );
    if (mounts.length === 0) this.#rdmaCore?.remove(); // no file speaks of it any more
    await this.#links?.publish(assignment);
  }

  /** Whether the runtime finds a CDI device by its name. Another function whenever something may have changed. */
  get hasCdiDevice(): (name: string) => boolean {
    return this.#cdi?.has ?? hasNone;
  }

  /** What the runtime shall open for a node such as uverbs0. Another function whenever something may have changed. */
  get hostPath(): HostPath {
    return this.#links?.hostPath ?? this.#node;
  }

  readonly #node = (name: string): string => `${this.#deviceDir}/infiniband/${name}`;
}

function hasNone(): boolean {
  return false;
}
