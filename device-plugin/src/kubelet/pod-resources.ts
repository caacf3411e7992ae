// Asks the kubelet which devices containers hold (pod resources API v1).
import { AgentError } from '../errors.ts';
import { pathIdOf } from '../pool.ts';
import { callOnce } from './call.ts';
import { type ContainerDevices, podResourcesLister } from './protocol.ts';

const TIMEOUT_MS = 2000;

export class PodResources {
  readonly #socket: string;
  /** The last answer; undefined before the first. */
  last: readonly ContainerDevices[] | undefined;

  /** Such as /var/lib/kubelet/pod-resources/kubelet.sock. */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Devices of all resources, container by container. Throws KUBELET_UNREACHABLE. */
  async list(timeoutMs = TIMEOUT_MS): Promise<readonly ContainerDevices[]> {
    try {
      this.last = await callOnce(this.#socket, podResourcesLister.list, {}, { timeoutMs });
      return this.last;
    } catch (error) {
      throw new AgentError(
        'KUBELET_UNREACHABLE',
        `cannot ask ${this.#socket} for allocated devices`,
        { socket: this.#socket },
        error,
      );
    }
  }
}

/** Paths that containers hold, by extended resource; undefined where the kubelet could not be asked. */
export async function heldPaths(podResources: PodResources): Promise<Map<string, Set<string>> | undefined> {
  try {
    const byResource = Map.groupBy(await podResources.list(), ({ resource }) => resource);
    return new Map(
      [...byResource].map(([resource, held]) => [resource, new Set(held.flatMap(({ ids }) => ids.map(pathIdOf)))]),
    );
  } catch {
    return undefined; // the reporter asks the same and tells of it
  }
}
