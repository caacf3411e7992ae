// What a NIC was called while it had its driver. A NIC that lost it still belongs to the resource that selected it by RDMA device or
// link layer: it is to be told as unhealthy with a reason, not to vanish, nor to fall to another resource.
import type { NodePath, SelectableNic } from '@data-direct/crds';
import type { OfferedPath } from './offered.ts';

export class NicMemory {
  readonly #seen = new Map<string, SelectableNic>();

  /** From the last status, so that a restart of the agent forgets nothing either. */
  learn(paths: readonly NodePath[]): void {
    for (const path of paths) if (path.name !== path.id && !this.#seen.has(path.id)) this.#seen.set(path.id, path);
  }

  /** The NIC as policies select it: as it is, or as it was when it last had an RDMA device. */
  recall(path: OfferedPath): SelectableNic {
    const { function: kind, model, linkLayer, defaultRoute, rdmaDevice } = path.nic;
    const now = { id: path.id, name: path.name, nic: { function: kind, model, linkLayer, defaultRoute } };
    if (rdmaDevice === undefined) return this.#seen.get(path.id) ?? now;
    this.#seen.set(path.id, now);
    return now;
  }
}
