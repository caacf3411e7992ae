// The version of this node's kubelet, as the API server has it. Asked for in the background: no round waits for an API server.
import type { KubeApi, KubeObject, Resource } from '@data-direct/kube';

interface NodeKubeObject extends KubeObject {
  readonly status?: { readonly nodeInfo?: { readonly kubeletVersion?: string } };
}

const nodes: Resource<NodeKubeObject> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

/** A kubelet that was upgraded is known as such after this. */
const REFRESH_MS = 10 * 60_000;
const RETRY_MS = 30_000;
const TIMEOUT_MS = 10_000;

export interface KubeletVersionOptions {
  readonly api: KubeApi;
  readonly node: string;
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

export class KubeletVersion {
  readonly #options: KubeletVersionOptions;
  #nextAsk = Number.NEGATIVE_INFINITY;
  version: string | undefined;

  constructor(options: KubeletVersionOptions) {
    this.#options = options;
  }

  /** Asks if the last answer is old. What was known stays until something else is. */
  async refresh(): Promise<void> {
    const { api, node, onChange, onError } = this.#options;
    if (performance.now() < this.#nextAsk) return;
    this.#nextAsk = performance.now() + RETRY_MS;
    try {
      const { status } = await api.get(nodes, { name: node }, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      this.#nextAsk = performance.now() + REFRESH_MS;
      const version = status?.nodeInfo?.kubeletVersion;
      const isNews = version !== this.version;
      this.version = version;
      if (isNews) onChange();
    } catch (error) {
      onError(error);
    }
  }
}
