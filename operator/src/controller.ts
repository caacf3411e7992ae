// The loop of the cluster: policies, nodes, node statuses and heartbeats in; node specs, node labels and policy statuses out.
// Level-triggered: every event only asks for a round of its node or policy, and a round reads the whole truth and writes what differs.
import { isDeepStrictEqual } from 'node:util';

import { nodeOfHeartbeat, type NodeResource } from '@data-direct/crds';
import {
  type Clock,
  type EventRecorder,
  type KubeApi,
  type KubeObject,
  type Lease,
  WorkQueue,
  leases,
  systemClock,
} from '@data-direct/kube';
import { errorFields, type Log } from '@data-direct/process';

import { type Assignment, assign } from './assign.ts';
import { Cache, type Following } from './cache.ts';
import { labelChanges, labelsFor } from './labels.ts';
import { Liveness } from './liveness.ts';
import { asOperator, hasWithdrawn, nodeIntent } from './node-object.ts';
import {
  FIELD_MANAGER,
  type NodeObject,
  type PolicyObject,
  dataDirectNodes,
  dataDirectPaths,
  nodes,
  trimDataDirectNode,
  trimNode,
} from './objects.ts';
import { eventTypeOf } from './phases.ts';
import { type Policy, readPolicies } from './policy.ts';
import { type NodeReport, phaseIn, rollUp } from './rollup.ts';

export interface ControllerOptions {
  readonly api: KubeApi;
  /** Where the agents keep their heartbeat Leases. */
  readonly namespace: string;
  /** Time between two beats of an agent. */
  readonly heartbeatMs: number;
  /** Asked before each round. A process that was held up finds work in its queue before it learns that another leads. */
  readonly isLeading: () => boolean;
  readonly recorder: Pick<EventRecorder, 'record'>;
  readonly log: Log;
  /** Told of each write and each failure, for metrics. */
  readonly tally: { wrote(what: Written): void; failed(where: string): void };
  readonly clock?: Clock;
}

type Written = 'DataDirectNode' | 'DataDirectPathStatus' | 'NodeLabels';

/** Rounds at the same time. Each has at most one request under way. */
const workers = 8;
/** A policy hears of all its nodes: what changes within this time is rolled up once. */
const settleMs = 250;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #clock: Clock;
  readonly #liveness: Liveness;
  readonly #queue: WorkQueue;
  readonly #policyObjects: Cache<PolicyObject>;
  readonly #nodes: Cache<KubeObject>;
  readonly #nodeObjects: Cache<NodeObject>;
  readonly #heartbeats: Cache<Lease>;
  #readPolicies: readonly Policy[] | undefined;
  #synced = false;

  constructor(options: ControllerOptions) {
    const { api, namespace, heartbeatMs, clock = systemClock, tally, log } = options;
    this.#options = options;
    this.#clock = clock;
    this.#liveness = new Liveness(clock, heartbeatMs);
    this.#queue = new WorkQueue({
      work: (key, signal) => this.#round(key, signal),
      onError: (key, error, failures) => {
        tally.failed('round');
        log.warn({ ...errorFields(error), key, failures }, 'round failed, will be tried again');
      },
      workers,
      clock,
    });
    const follow = (plural: string) => ({ api, clock, onError: (error: unknown) => this.#missed(plural, error) });
    this.#policyObjects = new Cache({
      ...follow(dataDirectPaths.plural),
      resource: dataDirectPaths,
      onChange: ({ type, key, object, previous }) => {
        this.#readPolicies = undefined;
        const sameSpec = type === 'updated' && previous?.metadata.generation === object.metadata.generation;
        if (sameSpec) this.#ask('policy', key);
        else this.#askAll();
      },
    });
    this.#nodes = new Cache({
      ...follow(nodes.plural),
      resource: nodes,
      trim: trimNode,
      onChange: ({ type, key, object, previous }) => {
        const sameLabels = isDeepStrictEqual(previous?.metadata.labels, object.metadata.labels);
        if (type !== 'updated' || !sameLabels) this.#ask('node', key);
      },
    });
    this.#nodeObjects = new Cache({
      ...follow(dataDirectNodes.plural),
      resource: dataDirectNodes,
      trim: trimDataDirectNode,
      onChange: ({ key }) => this.#ask('node', key),
    });
    this.#heartbeats = new Cache({
      ...follow(leases.plural),
      resource: leases,
      selection: { namespace },
      onChange: ({ type, object, previous }) => {
        const beaten = type === 'added' || object.spec?.renewTime !== previous?.spec?.renewTime;
        if (beaten && type !== 'deleted') this.#beat(nodeOfHeartbeat(object.metadata.name));
      },
    });
  }

  /** Resolves once the whole truth is known; only then is anything decided. */
  async start(): Promise<void> {
    const all = [...this.following().values()];
    for (const one of all) one.start();
    await Promise.all(all.map(({ synced }) => synced));
    this.#synced = true;
    this.#askAll();
  }

  async stop(): Promise<void> {
    const all = [...this.following().values()];
    await Promise.all([this.#queue.stop(), ...all.map((one) => one.stop())]);
  }

  get isSynced(): boolean {
    return this.#synced;
  }

  /** Rounds that wait or run. */
  get backlog(): number {
    return this.#queue.size;
  }

  /** Policies as last written, for metrics. */
  policies(): Iterable<PolicyObject> {
    return this.#policyObjects.values();
  }

  /** What is followed, by plural name. */
  following(): Map<string, Following> {
    return new Map([
      [dataDirectPaths.plural, this.#policyObjects.following],
      [nodes.plural, this.#nodes.following],
      [dataDirectNodes.plural, this.#nodeObjects.following],
      [leases.plural, this.#heartbeats.following],
    ]);
  }

  #ask(kind: 'node' | 'policy', name: string): void {
    if (!this.#synced) return;
    if (kind === 'node') this.#queue.add(`node/${name}`);
    else this.#queue.addAfter(`policy/${name}`, settleMs);
  }

  #askAll(): void {
    for (const { metadata } of this.#nodes.values()) this.#ask('node', metadata.name);
    for (const { metadata } of this.#policyObjects.values()) this.#ask('policy', metadata.name);
  }

  #missed(plural: string, error: unknown): void {
    this.#options.tally.failed(plural);
    this.#options.log.warn({ ...errorFields(error), resource: plural }, 'watching failed, will be tried again');
    this.#liveness.deaf();
  }

  #beat(node: string | undefined): void {
    if (node === undefined) return;
    const before = this.#liveness.of(node);
    this.#liveness.beat(node);
    if (before !== 'alive') this.#ask('node', node);
  }

  #policies(): readonly Policy[] {
    this.#readPolicies ??= readPolicies(this.#policyObjects.values());
    return this.#readPolicies;
  }

  #round(key: string, signal: AbortSignal): Promise<void> {
    const [kind, name = ''] = key.split('/');
    if (!this.#options.isLeading()) return Promise.resolve();
    return kind === 'node' ? this.#nodeRound(name, signal) : this.#policyRound(name, signal);
  }

  async #nodeRound(name: string, signal: AbortSignal): Promise<void> {
    for (const policy of this.#policies()) this.#ask('policy', policy.name);
    const node = this.#nodes.get(name);
    if (!node) {
      this.#liveness.forget(name); // its DataDirectNode is garbage collected with it
      return;
    }
    const object = this.#nodeObjects.get(name);
    const { resources } = this.#assignment(node, object);
    if (resources.length > 0) await this.#publish(node, object, resources, signal);
    else if (object) await this.#takeBack(node, object, signal);
    await this.#label(node, resources, object, signal);
    const silentIn = this.#liveness.silentIn(name);
    if (object && silentIn !== undefined) this.#queue.addAfter(`node/${name}`, silentIn);
  }

  #assignment(node: KubeObject, object: NodeObject | undefined): Assignment {
    const { name, labels = {} } = node.metadata;
    return assign(this.#policies(), { name, labels, object });
  }

  async #publish(
    node: KubeObject,
    object: NodeObject | undefined,
    resources: NodeResource[],
    signal: AbortSignal,
  ): Promise<void> {
    const { apiVersion, kind } = nodes;
    const { name, uid = '' } = node.metadata;
    const isOwned = object?.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
    if (isOwned && isDeepStrictEqual(object?.spec.resources, resources)) return;
    const intent = nodeIntent(name, [{ apiVersion, kind, name, uid }], resources);
    this.#nodeObjects.wrote(await this.#options.api.apply(dataDirectNodes, intent, { ...asOperator, signal }));
    this.#options.tally.wrote('DataDirectNode');
  }

  /** First the agent takes everything back from the kubelet, then the object goes: an agent without object serves what it last knew. */
  async #takeBack(node: KubeObject, object: NodeObject, signal: AbortSignal): Promise<void> {
    const { name, uid, resourceVersion } = object.metadata;
    if (object.spec.resources.length > 0) return this.#publish(node, object, [], signal);
    if (!hasWithdrawn(object) && this.#liveness.of(name) !== 'silent') return;
    const preconditions = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
    await this.#options.api.delete(dataDirectNodes, { name }, { preconditions, signal });
    this.#options.tally.wrote('DataDirectNode');
  }

  /** A merge patch, because server-side apply would bring back a Node that was deleted a moment ago. */
  async #label(
    node: KubeObject,
    resources: readonly NodeResource[],
    object: NodeObject | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { name, labels: has = {} } = node.metadata;
    const labels = labelChanges(has, labelsFor(resources, object, this.#liveness.of(name)));
    if (!labels) return;
    const as = { fieldManager: FIELD_MANAGER, signal };
    this.#nodes.wrote(await this.#options.api.patch(nodes, { name }, { metadata: { labels } }, as));
    this.#options.tally.wrote('NodeLabels');
  }

  async #policyRound(name: string, signal: AbortSignal): Promise<void> {
    const policy = this.#policies().find((one) => one.name === name);
    if (!policy) return;
    const now = `${this.#clock.wallTime().toISOString().slice(0, 19)}Z`;
    const status = rollUp(policy, this.#reports(name), now);
    if (isDeepStrictEqual(status, policy.object.status)) return;
    const as = { ...asOperator, subresource: 'status', signal } as const;
    this.#policyObjects.wrote(await this.#options.api.apply(dataDirectPaths, { metadata: { name }, status }, as));
    this.#readPolicies = undefined;
    this.#options.tally.wrote('DataDirectPathStatus');
    this.#tell(policy, phaseIn(policy.object.status)?.reason, phaseIn(status));
  }

  #reports(policy: string): NodeReport[] {
    const reports: NodeReport[] = [];
    for (const node of this.#nodes.values()) {
      const { name } = node.metadata;
      const object = this.#nodeObjects.get(name);
      const assignment = this.#assignment(node, object);
      if (assignment.policies.includes(policy))
        reports.push({ name, assignment, object, life: this.#liveness.of(name) });
    }
    return reports;
  }

  #tell(policy: Policy, before: string | undefined, now: ReturnType<typeof phaseIn>): void {
    if (!now || before === now.reason) return;
    const { reason, message: note } = now;
    this.#options.log.info({ policy: policy.name, phase: reason, before }, note);
    this.#options.recorder.record(policy.object, { type: eventTypeOf(reason), reason, action: 'PhaseChanged', note });
  }
}
