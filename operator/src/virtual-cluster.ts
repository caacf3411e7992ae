// A cluster for tests: kube's virtual API server with our resources, nodes, and agents that do what they are told. Nothing that ships imports this.
import { type DataDirectPathSpec, type DataDirectPathStatus, heartbeatLease, type NodePath } from '@data-direct/crds';
import {
  type KubeApi,
  type KubeObject,
  type Lease,
  type Resource,
  connect,
  leases,
  microTime,
} from '@data-direct/kube';
import { ManualClock, type VirtualServer, startVirtualServer } from '@data-direct/kube/virtual';

import { type NodeObject, type PolicyObject, dataDirectNodes, dataDirectPaths, nodes } from './objects.ts';
import { specOf } from './testing.ts';

export const NAMESPACE = 'data-direct';

export const deployments: Resource<KubeObject & { spec: { replicas: number } }> = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};

const events: Resource<KubeObject> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

const writingVerbs: ReadonlySet<string> = new Set(['create', 'apply', 'patch', 'delete']);
const agent = { fieldManager: 'data-direct-agent', subresource: 'status' } as const;

export class VirtualCluster {
  readonly server: VirtualServer;
  /** Of deciding and waiting; requests and their time-outs go by real time. */
  readonly clock = new ManualClock();
  readonly api: KubeApi;

  constructor(server: VirtualServer) {
    this.server = server;
    this.api = connect(server.connection, { userAgent: 'test' });
  }

  async close(): Promise<void> {
    this.api.close();
    await this.server.close();
  }

  addNode(name: string, labels: Record<string, string> = {}): KubeObject {
    return this.server.store.create(nodes, { metadata: { name, labels } });
  }

  addPolicy(name: string, spec: Partial<DataDirectPathSpec> = {}): PolicyObject {
    return this.server.store.create(dataDirectPaths, { metadata: { name }, spec: specOf('path', spec) });
  }

  changePolicy(name: string, spec: Partial<DataDirectPathSpec>): void {
    this.server.store.patch(dataDirectPaths, { name }, { spec });
  }

  /** The agent says where its paths stand, having taken over the spec that is there now. */
  report(node: string, paths: readonly NodePath[]): void {
    const { spec, metadata } = this.nodeObject(node);
    const resources = spec.resources.map(({ name }) => {
      const own = paths.filter((path) => path.resource === name);
      return { name, capacity: own.length, healthy: own.filter(({ state }) => state !== 'Unavailable').length };
    });
    const status = { observedGeneration: metadata.generation, paths, resources };
    this.server.store.apply(dataDirectNodes, { metadata: { name: node }, status }, true, agent);
  }

  beat(node: string): void {
    const metadata = { name: heartbeatLease(node), namespace: NAMESPACE };
    const spec: Lease['spec'] = { renewTime: microTime(this.clock.wallTime()) };
    this.server.store.apply(leases, { metadata, spec }, true, { fieldManager: agent.fieldManager });
  }

  node(name: string): KubeObject {
    return this.server.store.get(nodes, { name });
  }

  nodeObject(name: string): NodeObject {
    return this.server.store.get(dataDirectNodes, { name });
  }

  nodeObjects(): NodeObject[] {
    return this.server.store.list(dataDirectNodes);
  }

  status(policy: string): DataDirectPathStatus | undefined {
    return this.server.store.get(dataDirectPaths, { name: policy }).status;
  }

  /** `Ready=False Degraded: 3 of 4 …` */
  told(policy: string, type: 'Accepted' | 'Ready' | 'Progressing'): string {
    const found = this.status(policy)?.conditions?.find((condition) => condition.type === type);
    return found ? `${type}=${found.status} ${found.reason}: ${found.message}` : `no ${type}`;
  }

  events(): KubeObject[] {
    return this.server.store.list(events);
  }

  /** Requests that were meant to change something, as `verb plural name`. */
  writes(): string[] {
    return this.server.requests
      .filter(({ verb }) => writingVerbs.has(verb))
      .map(({ verb, plural, name, subresource }) => [verb, plural, name, subresource].filter(Boolean).join(' '));
  }

  /** Lets time pass in small steps, with real I/O between them, until `check` no longer throws. */
  async eventually(check: () => void): Promise<void> {
    const end = performance.now() + 10_000;
    for (;;) {
      await this.#step();
      try {
        check();
        return;
      } catch (error) {
        if (performance.now() > end) throw error;
      }
    }
  }

  /** Lets time pass until no request has come for a while, apart from those about Leases, which never end. */
  async quiet(): Promise<void> {
    const asked = (): number => this.server.requests.filter(({ plural }) => plural !== 'leases').length;
    let calm = 0;
    for (let seen = -1; calm < 20; calm = seen === asked() ? calm + 1 : 0) {
      seen = asked();
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    await this.clock.advance(250);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
  }
}

export async function startVirtualCluster(): Promise<VirtualCluster> {
  const server = await startVirtualServer({
    resources: [
      nodes,
      deployments,
      {
        ...dataDirectPaths,
        status: true,
        listMapKeys: { 'status.conditions': ['type'], 'status.reasons': ['reason'] },
      },
      {
        ...dataDirectNodes,
        status: true,
        listMapKeys: { 'spec.resources': ['name'], 'status.paths': ['id'], 'status.resources': ['name'] },
      },
    ],
  });
  return new VirtualCluster(server);
}
