// The agent's DataDirectNode: the spec it follows, and where it reports to. This is the door and the API server's side of it;
// spec-file.ts is the other one. What a status says is node-status.ts's.
import { isDeepStrictEqual } from 'node:util';

import {
  API_VERSION,
  type ContainerStatus,
  DATA_DIRECT_NODES,
  type DataDirectNode,
  type DataDirectNodeSpec,
  type DataDirectNodeStatus,
  heartbeatLease,
} from '@data-direct/crds';
import {
  type Change,
  EventRecorder,
  isKubeError,
  type KubeApi,
  type KubeObject,
  LeaseHeartbeat,
  Reflector,
  type Regarding,
  type Resource,
  WorkQueue,
} from '@data-direct/kube';

import type { Checkpoint } from './checkpoint.ts';
import { within } from './delay.ts';
import { KubeletVersion } from './kubelet-version.ts';
import { nodeSpec } from './node-spec.ts';
import type { Transition } from './node-status.ts';

/** Who writes status; the operator writes spec. */
const FIELD_MANAGER = 'data-direct-agent';

export interface FollowedSpec {
  readonly spec: DataDirectNodeSpec;
  /** Of the object on the API server; undefined for a file or the checkpoint. */
  readonly generation: number | undefined;
}

export interface NodeObject {
  /** Calls back when spec may have changed. */
  start(onChange: () => void): void;
  /** What to serve now; undefined while nothing is known. */
  spec(): FollowedSpec | undefined;
  /** The status that is there, of this agent or of the one before it. */
  status(): DataDirectNodeStatus | undefined;
  /**
   * Never waits: the latest status is written when the server takes it. Before there is an object it is dropped.
   * `containers`: those of status that were not in the one before; their pods get an event.
   */
  report(
    status: DataDirectNodeStatus,
    transitions: readonly Transition[],
    containers?: readonly ContainerStatus[],
  ): void;
  /** Of the node's kubelet, as the API server says; undefined while it is not known. Knowing it asks for a round. */
  kubeletVersion(): string | undefined;
  /** An event of type Warning about the object, for what no later round will tell. */
  warn(reason: string, action: string, note: string): void;
  /** Ends within `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>;
}

/** Told of what goes wrong outside of a round. What can be tried again will be. */
export type OnTrouble = (
  part: 'checkpoint' | 'allocations' | 'spec' | 'api' | 'cdi' | 'devices' | 'rdma-core',
  error: unknown,
) => void;

type NodeKubeObject = KubeObject & DataDirectNode;

export const dataDirectNodes: Resource<NodeKubeObject> = DATA_DIRECT_NODES;

/** Only to find the uid, without which `kubectl describe pod` does not show an event. */
const pods: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };

export interface ClusterNodeOptions {
  readonly api: KubeApi;
  /** The node's name, which is the object's. */
  readonly node: string;
  /** Where the heartbeat Lease is. */
  readonly namespace: string;
  /** This process, in events and in the Lease: the pod's name. */
  readonly instance: string;
  readonly checkpoint: Checkpoint;
  readonly onTrouble: OnTrouble;
}

/** The last write of status. */
interface Written {
  readonly uid: string | undefined;
  /** The version that was cached when it was sent: while that is so, the cache has not caught up with the write. */
  readonly cached: string | undefined;
  readonly asked: DataDirectNodeStatus;
  readonly stored: DataDirectNodeStatus | undefined;
}

/** Follows the API server's object; while there is none, or no server, it goes on with the last spec that it knew. */
export class ClusterNodeObject implements NodeObject {
  readonly #options: ClusterNodeOptions;
  readonly #reflector: Reflector<NodeKubeObject>;
  readonly #writer: WorkQueue;
  readonly #events: EventRecorder;
  readonly #kubelet: KubeletVersion;
  #heartbeat: { readonly uid: string; readonly lease: LeaseHeartbeat } | undefined;
  readonly #stopping = new AbortController();
  #onChange: () => void = () => {};
  #followed: FollowedSpec | undefined;
  /** Which object and which spec of it was looked at last. */
  #seen: string | undefined;
  /** What the disk did not take: tried again at the next report. */
  #unsaved: DataDirectNodeSpec | undefined;
  #reported: DataDirectNodeStatus | undefined;
  #written: Written | undefined;

  constructor(options: ClusterNodeOptions) {
    const { api, node, instance, onTrouble } = options;
    this.#options = options;
    this.#kubelet = new KubeletVersion({
      api,
      node,
      onChange: () => this.#onChange(),
      onError: (error) => onTrouble('api', error),
    });
    this.#reflector = new Reflector({
      api,
      resource: dataDirectNodes,
      selection: { fieldSelector: `metadata.name=${node}` },
      onChange: (change) => this.#changed(change),
      onError: (error) => onTrouble('api', error),
    });
    this.#writer = new WorkQueue({
      work: (_node, signal) => this.#write(signal),
      onError: (_node, error) => {
        // An object that has just been deleted needs no telling: the reflector hears of it next.
        if (!isKubeError(error, 'KUBE_NOT_FOUND')) onTrouble('api', error);
      },
    });
    this.#events = new EventRecorder({
      api,
      reportingController: 'datadirect.dev/agent',
      reportingInstance: instance,
      onError: (error) => onTrouble('api', error),
    });
  }

  start(onChange: () => void): void {
    this.#onChange = onChange;
    try {
      const spec = this.#options.checkpoint.read();
      this.#followed = spec && { spec, generation: undefined };
    } catch (error) {
      this.#options.onTrouble('checkpoint', error);
    }
    this.#reflector.start();
  }

  spec(): FollowedSpec | undefined {
    return this.#followed;
  }

  status(): DataDirectNodeStatus | undefined {
    return this.#reported ?? this.#object?.status;
  }

  report(
    status: DataDirectNodeStatus,
    transitions: readonly Transition[],
    containers: readonly ContainerStatus[] = [],
  ): void {
    if (this.#unsaved) this.#remember(this.#unsaved);
    const object = this.#object;
    if (!object) return; // its coming asks for a round, and that one starts from the status which is there
    this.#reported = status;
    this.#writer.add(this.#options.node);
    for (const { path, before } of transitions)
      for (const regarding of [object, this.#node])
        this.#events.record(regarding, {
          type: path.state === 'Ready' ? 'Normal' : 'Warning',
          reason: path.reason,
          action: 'Assess',
          note: `path ${path.name} (${path.id}) was ${before}: ${path.message}`,
        });
    if (containers.length > 0) void this.#tellPods(containers);
  }

  kubeletVersion(): string | undefined {
    void this.#kubelet.refresh();
    return this.#kubelet.version;
  }

  warn(reason: string, action: string, note: string): void {
    const object = this.#object;
    if (object) this.#events.record(object, { type: 'Warning', reason, action, note });
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping.abort();
    this.#beat(undefined);
    await within(timeoutMs, Promise.all([this.#reflector.stop(), this.#writer.stop(), this.#events.stop()]));
    this.#options.api.close();
  }

  /** One after the other: a policy that changes may concern every pod of the node. */
  async #tellPods(containers: readonly ContainerStatus[]): Promise<void> {
    const { api, onTrouble } = this.#options;
    const { signal } = this.#stopping;
    for (const { namespace, pod: name, container, reason, message } of containers) {
      try {
        const pod = await api.get(pods, { namespace, name }, { signal });
        const note = `container ${container}: ${message}`;
        this.#events.record(pod, { type: 'Warning', reason, action: 'JudgeContainer', note });
      } catch (error) {
        if (signal.aborted) return;
        if (!isKubeError(error, 'KUBE_NOT_FOUND')) onTrouble('api', error); // a pod that is gone needs no telling
      }
    }
  }

  /** For who describes the Node. The kubelet's own events name it instead of its uid, and `kubectl describe node` looks for that. */
  get #node(): Regarding {
    const { node } = this.#options;
    return { apiVersion: 'v1', kind: 'Node', metadata: { name: node, uid: node } };
  }

  get #object(): NodeKubeObject | undefined {
    return this.#reflector.get(this.#options.node);
  }

  #changed({ type, object }: Change<NodeKubeObject>): void {
    if (type === 'deleted') return this.#beat(undefined);
    const { uid, generation } = object.metadata;
    this.#beat(uid);
    this.#writer.add(object.metadata.name);
    if (this.#seen === `${uid}/${generation}`) return;
    this.#seen = `${uid}/${generation}`;
    this.#follow(object);
  }

  #follow({ metadata, spec: document }: NodeKubeObject): void {
    const { node, onTrouble } = this.#options;
    try {
      const spec = nodeSpec(document, `DataDirectNode ${node}`, { unknownFields: 'drop' });
      this.#remember(spec);
      this.#followed = { spec, generation: metadata.generation };
    } catch (error) {
      onTrouble('spec', error);
      return;
    }
    this.#onChange();
  }

  /** A spec without resources is the order to withdraw; nothing of it shall come back after a restart. */
  #remember(spec: DataDirectNodeSpec): void {
    const { checkpoint, onTrouble } = this.#options;
    try {
      if (spec.resources.length === 0) checkpoint.remove();
      else checkpoint.write(spec);
      this.#unsaved = undefined;
    } catch (error) {
      this.#unsaved = spec;
      onTrouble('checkpoint', error);
    }
  }

  /** By force: these fields are ours alone, and an earlier version of us may have written them under another name. */
  async #write(signal: AbortSignal): Promise<void> {
    const { api, node } = this.#options;
    const object = this.#object;
    const status = this.#reported;
    if (!object || !status) return; // an apply to status cannot create
    if (this.#isSaid(status, object)) return;
    const answer = await api.apply(
      dataDirectNodes,
      { metadata: { name: node }, status },
      { fieldManager: FIELD_MANAGER, subresource: 'status', force: true, signal },
    );
    const { uid, resourceVersion } = object.metadata;
    this.#written = { uid, cached: resourceVersion, asked: status, stored: answer.status };
  }

  /** Whether the object says this already. What the server made of our last write counts as said, unless somebody wrote over it. */
  #isSaid(status: DataDirectNodeStatus, object: NodeKubeObject): boolean {
    const written = this.#written;
    if (written?.uid !== object.metadata.uid) return isDeepStrictEqual(status, object.status);
    const isOurs =
      object.metadata.resourceVersion === written?.cached || isDeepStrictEqual(object.status, written?.stored);
    return isOurs && isDeepStrictEqual(status, written?.asked);
  }

  /** Beats for as long as the object is there: nobody else asks, and the Lease goes when its owner goes. */
  #beat(uid: string | undefined): void {
    if (uid === this.#heartbeat?.uid) return;
    void this.#heartbeat?.lease.stop();
    this.#heartbeat = undefined;
    if (uid === undefined) return;
    const { api, node, namespace, instance, onTrouble } = this.#options;
    const lease = new LeaseHeartbeat({
      api,
      lease: { name: heartbeatLease(node), namespace },
      fieldManager: FIELD_MANAGER,
      holderIdentity: instance,
      ownerReferences: [{ apiVersion: API_VERSION, kind: dataDirectNodes.kind, name: node, uid }],
      onError: (error) => onTrouble('api', error),
    });
    lease.start();
    this.#heartbeat = { uid, lease };
  }
}
