// Asks the kubelet which devices containers hold (pod resources API v1).
import { AgentError } from '../errors.ts';
import { callOnce } from './call.ts';
import { type ContainerDevices, podResourcesLister } from './protocol.ts';

export class PodResources {
  readonly #socket: string;

  /** Such as /var/lib/kubelet/pod-resources/kubelet.sock. */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Devices of all resources, container by container. Throws KUBELET_UNREACHABLE. */
  async list(): Promise<readonly ContainerDevices[]> {
    try {
      return await callOnce(this.#socket, podResourcesLister.list, {}, { timeoutMs: 2000 });
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
