// The kubelet as the agent sees it: told of pools, it keeps one registration for each and answers what the kubelet asks about them.
import { extendedResource } from '@data-direct/crds';

import { orAborted } from '../delay.ts';
import type { AllocationContext } from '../allocation/allocate.ts';
import type { GpuNames } from '../allocation/gpu-names.ts';
import { bystanders, gpuView, type GpuView, NOTHING_KNOWN } from '../allocation/gpu-view.ts';
import { KeptAnswers } from '../allocation/kept-answers.ts';
import { preferred } from '../allocation/preferred.ts';
import { passes, type Verify } from '../allocation/pre-start.ts';
import type { Assignment, Device, Pool } from '../pool.ts';
import { KubeletSocket } from './kubelet-socket.ts';
import type { PluginService } from './plugin-server.ts';
import type { PodResources } from './pod-resources.ts';
import type { AdvertisedDevice, ContainerAllocation, ContainerPreference, PluginOptions } from './protocol.ts';
import { Registration } from './registration.ts';

/** Told as it happens; resources by their name in the policy. None may throw. */
export interface KubeletEvents {
  registered(resource: string): void;
  lost(resource: string, error: unknown): void;
  /** One Allocate call for one container: with its answer, or with the `error` that the kubelet got instead. */
  allocated(
    resource: string,
    ids: readonly string[],
    seconds: number,
    error: unknown,
    answer: ContainerAllocation | undefined,
  ): void;
  /** Some container may have been given devices, of whichever plug-in. */
  devicesGiven(): void;
  /** Paths were verified before the start of a container; `error` is why it does not start. */
  verified(resource: string, error: unknown): void;
}

export interface KubeletOptions {
  /** Such as /var/lib/kubelet/device-plugins. */
  readonly directory: string;
  /** What is on the node for container runtimes; asked anew for each answer. */
  readonly files: Pick<AllocationContext, 'hostPath' | 'hasCdiDevice'>;
  readonly podResources: PodResources;
  readonly gpuNames: GpuNames;
  readonly verify: Verify;
  readonly events: KubeletEvents;
}

/** The kubelet waits for a preference with the pod's admission. */
const LOOK_AT_GPUS_MS = 500;

interface Plugin {
  pool: Pool;
  isRegistered: boolean;
  readonly registration: Registration;
  readonly answers: KeptAnswers;
}

export class Kubelet {
  readonly #socket: KubeletSocket;
  readonly #options: KubeletOptions;
  readonly #plugins = new Map<string, Plugin>();
  #node: AllocationContext['node'] = [];
  #marked = Promise.withResolvers<void>();

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.#socket = new KubeletSocket(options.directory, () => options.events.devicesGiven());
  }

  /** Makes the kubelet know these pools and no others. A resource that is gone is emptied before its NICs appear in another. */
  async advertise({ pools, paths }: Assignment): Promise<void> {
    this.#socket.look();
    this.#node = paths;
    const gone = [...this.#plugins.keys()].filter((name) => !pools.some((pool) => pool.resource.name === name));
    for (const pool of pools) this.#refresh(pool);
    await Promise.all(gone.map((name) => this.#withdraw(name)));
    for (const pool of pools) if (!this.#plugins.has(pool.resource.name)) this.#start(pool);
  }

  /** Whether the kubelet follows the list of this resource now. */
  isRegistered(resource: string): boolean {
    return this.#plugins.get(resource)?.isRegistered ?? false;
  }

  /** Resolves when the kubelet follows every resource, or the signal aborts. */
  async followed(over: AbortSignal): Promise<void> {
    while (!over.aborted && [...this.#plugins.values()].some((plugin) => !plugin.isRegistered))
      await orAborted(this.#marked.promise, over);
  }

  /** Leaves without withdrawing anything: running pods keep their devices, and the next agent takes over. */
  async close(): Promise<void> {
    await Promise.all([...this.#plugins.values()].map((plugin) => plugin.registration.close()));
    this.#socket.close();
  }

  #start(pool: Pool): void {
    const { name } = pool.resource;
    const { events } = this.#options;
    const registration = new Registration(extendedResource(name), this.#serviceOf(name), this.#socket, {
      registered: () => {
        this.#mark(name, true);
        events.registered(name);
      },
      lost: (_resource, error) => {
        this.#mark(name, false);
        events.lost(name, error);
      },
    });
    this.#plugins.set(name, { pool, isRegistered: false, registration, answers: new KeptAnswers() });
  }

  #refresh(pool: Pool): void {
    const plugin = this.#plugins.get(pool.resource.name);
    if (!plugin) return;
    const before = plugin.pool;
    plugin.pool = pool;
    if (JSON.stringify(pluginOptions(pool)) !== JSON.stringify(pluginOptions(before))) plugin.registration.renew();
    else if (JSON.stringify(advertised(pool)) !== JSON.stringify(advertised(before))) plugin.registration.update();
  }

  async #withdraw(name: string): Promise<void> {
    const plugin = this.#plugins.get(name);
    if (!plugin) return;
    plugin.pool = { ...plugin.pool, paths: [], devices: [] };
    plugin.registration.update();
    await plugin.registration.close();
    this.#plugins.delete(name);
  }

  #mark(name: string, isRegistered: boolean): void {
    const plugin = this.#plugins.get(name);
    if (plugin) plugin.isRegistered = isRegistered;
    this.#marked.resolve();
    this.#marked = Promise.withResolvers();
  }

  /** Answers from the pool as it is when the kubelet asks. */
  #serviceOf(name: string): PluginService {
    const plugin = (): Plugin => {
      const known = this.#plugins.get(name);
      if (!known) throw new TypeError(`no plug-in named ${name}`);
      return known;
    };
    return {
      options: () => pluginOptions(plugin().pool),
      devices: () => advertised(plugin().pool),
      prefer: (request) => this.#prefer(plugin().pool, request),
      allocate: (ids) => this.#allocate(plugin(), ids),
      preStart: (ids) => this.#preStart(plugin().pool, ids),
    };
  }

  async #prefer(pool: Pool, request: ContainerPreference): Promise<readonly string[]> {
    return preferred(pool, request, await this.#gpus(extendedResource(pool.resource.name), request.size));
  }

  /** The kubelet holds no lock while it asks for a preference, and what it gave before it asked is listed (devicemanager/manager.go). */
  async #gpus(resource: string, size: number): Promise<GpuView> {
    const { podResources, gpuNames } = this.#options;
    const addressOf = gpuNames.addressOf(new Set(this.#node.flatMap(({ gpus }) => gpus.map(({ address }) => address))));
    const earlier = podResources.last;
    try {
      const held = await podResources.list(LOOK_AT_GPUS_MS);
      const settled = new Set(bystanders(earlier ?? held, resource, addressOf).map(({ key }) => key));
      return gpuView({ held, resource, size, settled }, addressOf);
    } catch {
      return NOTHING_KNOWN; // the reporter asks the same and tells of it
    }
  }

  async #preStart(pool: Pool, ids: readonly string[]): Promise<void> {
    const { events, verify } = this.#options;
    try {
      await passes(pool, ids, this.#node, verify);
      events.verified(pool.resource.name, undefined);
    } catch (error) {
      events.verified(pool.resource.name, error);
      throw error;
    }
  }

  #allocate({ pool, answers }: Plugin, ids: readonly string[]): ContainerAllocation {
    const { events, files } = this.#options;
    const began = performance.now();
    let failure: unknown;
    let answer: ContainerAllocation | undefined;
    try {
      const { hostPath, hasCdiDevice } = files;
      answer = answers.answer(pool, ids, { node: this.#node, hostPath, hasCdiDevice });
      return answer;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      events.allocated(pool.resource.name, ids, (performance.now() - began) / 1000, failure, answer);
    }
  }
}

/** Where paths are verified by a registration, they are verified before each start of a container too: docs/adr/0009. */
function pluginOptions({ resource }: Pool): PluginOptions {
  return { preStartRequired: resource.verification.level === 'Registration', getPreferredAllocationAvailable: true };
}

function advertised({ resource, devices, hintsRefused }: Pool): AdvertisedDevice[] {
  return devices.map(({ id, healthy, path }: Device) => {
    const isHinted = resource.topologyHints === 'DmaNumaNode' && hintsRefused === undefined;
    const numaNode = isHinted ? path.dma?.numaNode : undefined;
    return { id, healthy, ...(numaNode !== undefined && { numaNode }) };
  });
}
