// What every step of the suite stands on: the cluster, an independent client, and waiting with an end.
import {
  ApiextensionsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  EventsV1Api,
  KubeConfig,
  type EventsV1Event,
  type V1Pod,
} from '@kubernetes/client-node';
import {
  GROUP,
  VERSION,
  type DataDirectNode,
  type DataDirectPath,
  type DataDirectPathSpecInput,
  type NodePath,
} from '@data-direct/crds';

import type { Cluster } from '../cluster.ts';
import { until } from '../../rig/wait.ts';

export const NAMESPACE = 'data-direct';
export const RESOURCE = 'datadirect.dev/path';
export const CDI_FILE = '/var/run/cdi/datadirect.dev-path.json';

export interface World {
  readonly cluster: Cluster;
  readonly core: CoreV1Api;
  readonly custom: CustomObjectsApi;
  readonly events: EventsV1Api;
  readonly extensions: ApiextensionsV1Api;
  readonly leases: CoordinationV1Api;
  /** Name of the one node. */
  readonly node: string;
}

/** The client of the suite is not ours: what the product says of itself is checked through @kubernetes/client-node. */
export function worldOf(cluster: Cluster): World {
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  return {
    cluster,
    core: config.makeApiClient(CoreV1Api),
    custom: config.makeApiClient(CustomObjectsApi),
    events: config.makeApiClient(EventsV1Api),
    extensions: config.makeApiClient(ApiextensionsV1Api),
    leases: config.makeApiClient(CoordinationV1Api),
    node: cluster.nodeName,
  };
}

/** Asks until `ask` returns a value; the last thing that was missing is in the error. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { seconds = 60, intervalMs = 200 } = {},
): Promise<T> {
  let answer: T | undefined;
  await until({ what, timeoutMs: seconds * 1000, intervalMs }, async () => {
    try {
      answer = await ask();
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    return answer === undefined ? 'not yet' : undefined;
  });
  return answer as T;
}

/** Throws with what differs until `holds` stops throwing: for assertions that come true in time. */
export async function comesTrue(
  what: string,
  holds: () => Promise<void> | void,
  options: { seconds?: number; intervalMs?: number } = {},
): Promise<void> {
  await eventually(
    what,
    async () => {
      await holds();
      return true;
    },
    options,
  );
}

export function policyNamed(world: World, name: string): Promise<DataDirectPath> {
  return world.custom.getClusterCustomObject({
    group: GROUP,
    version: VERSION,
    plural: 'datadirectpaths',
    name,
  }) as Promise<DataDirectPath>;
}

export async function createPolicy(world: World, name: string, spec: unknown): Promise<DataDirectPath> {
  return (await world.custom.createClusterCustomObject({
    group: GROUP,
    version: VERSION,
    plural: 'datadirectpaths',
    body: { apiVersion: `${GROUP}/${VERSION}`, kind: 'DataDirectPath', metadata: { name }, spec },
  })) as DataDirectPath;
}

/** What to merge into a spec; null takes a field away. */
type SpecChange = { readonly [K in keyof DataDirectPathSpecInput]?: DataDirectPathSpecInput[K] | null };

/** Merges into spec, as `kubectl patch --type merge` does, and waits until the agent follows the new spec. */
export async function changePolicy(world: World, name: string, spec: SpecChange): Promise<void> {
  await world.cluster.kubectl(['patch', 'ddp', name, '--type', 'merge', '--patch', JSON.stringify({ spec })]);
  await comesTrue(`the agent follows ${name}`, async () => {
    const [policy, node] = await Promise.all([policyNamed(world, name), nodeObject(world)]);
    const compiled = node.spec.resources.find((resource) => resource.policy === name);
    if (compiled?.policyGeneration !== policy.metadata.generation)
      throw new Error('the node spec is of an older policy');
    if (node.status?.observedGeneration !== node.metadata.generation) throw new Error('the agent is behind');
  });
}

export function deletePolicy(world: World, name: string): Promise<unknown> {
  return world.custom.deleteClusterCustomObject({ group: GROUP, version: VERSION, plural: 'datadirectpaths', name });
}

export function nodeObject(world: World): Promise<DataDirectNode> {
  return world.custom.getClusterCustomObject({
    group: GROUP,
    version: VERSION,
    plural: 'datadirectnodes',
    name: world.node,
  }) as Promise<DataDirectNode>;
}

/** One path of the node as DataDirectNode reports it. */
export async function pathNamed(world: World, name: string): Promise<NodePath> {
  const node = await nodeObject(world);
  const path = node.status?.paths?.find((candidate) => candidate.name === name);
  if (!path) throw new Error(`DataDirectNode ${world.node} has no path ${name}`);
  return path;
}

export async function allocatable(world: World, resource = RESOURCE): Promise<string | undefined> {
  const node = await world.core.readNode({ name: world.node });
  return node.status?.allocatable?.[resource];
}

export async function expectAllocatable(world: World, count: number): Promise<void> {
  await comesTrue(`allocatable ${RESOURCE} is ${count}`, async () => {
    const seen = await allocatable(world);
    if (seen !== String(count)) throw new Error(`allocatable ${RESOURCE} is ${seen ?? 'absent'}`);
  });
}

export async function eventsAbout(world: World, kind: string, name: string): Promise<EventsV1Event[]> {
  const { items } = await world.events.listEventForAllNamespaces();
  return items.filter((event) => event.regarding?.kind === kind && event.regarding.name === name);
}

export const agentPod = (world: World): Promise<V1Pod> => onlyPod(world, 'agent');
export const operatorPod = (world: World): Promise<V1Pod> => onlyPod(world, 'operator');

/** The one pod of a component that is not on its way out. */
async function onlyPod(world: World, component: string): Promise<V1Pod> {
  const { items } = await world.core.listNamespacedPod({
    namespace: NAMESPACE,
    labelSelector: `app.kubernetes.io/component=${component}`,
  });
  const running = items.filter((pod) => !pod.metadata?.deletionTimestamp);
  if (running.length !== 1 || !running[0]) throw new Error(`${running.length} ${component} pods`);
  return running[0];
}

export function isReady(pod: V1Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** The agent's metrics as Prometheus would read them, through the API server's proxy. */
export async function agentMetrics(world: World): Promise<string> {
  const pod = await agentPod(world);
  const { stdout } = await world.cluster.kubectl([
    'get',
    '--raw',
    `/api/v1/namespaces/${NAMESPACE}/pods/${pod.metadata?.name}:9464/proxy/metrics`,
  ]);
  return stdout;
}

/** When the agent said that the kubelet follows it, in milliseconds since 1970; of its container that runs now. */
export async function followedAt(world: World): Promise<readonly number[]> {
  const { metadata } = await agentPod(world);
  const { stdout } = await world.cluster.kubectl(['logs', '--namespace', NAMESPACE, metadata?.name ?? '']);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { time: string; msg: string });
  return lines.filter(({ msg }) => msg === 'the kubelet follows this resource').map(({ time }) => Date.parse(time));
}

/** Changes the virtual host inside the agent, from outside, as a person would. */
export async function virtual(world: World, ...change: string[]): Promise<void> {
  const pod = await agentPod(world);
  await world.cluster.kubectl([
    'exec',
    '--namespace',
    NAMESPACE,
    pod.metadata?.name ?? '',
    '--',
    '/node',
    '/app/data-direct.mjs',
    'virtual',
    ...change,
  ]);
}
