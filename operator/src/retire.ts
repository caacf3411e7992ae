// Uninstalling: the agents take everything back from their kubelets, then all that the operator made goes. DataDirectPaths and CRDs stay.
// Every step is bounded and may be done again, so that the chart's hook can be retried.

import { nodeOfHeartbeat } from '@data-direct/crds';
import {
  type Clock,
  type KubeApi,
  type KubeObject,
  LeaderElector,
  type Resource,
  isKubeError,
  leases,
  sleep,
  systemClock,
} from '@data-direct/kube';
import { errorFields, type Log } from '@data-direct/process';

import type { Config } from './config.ts';
import { OperatorError } from './error.ts';
import { identityIn } from './identity.ts';
import { labelChanges } from './labels.ts';
import { hasWithdrawn } from './node-object.ts';
import { FIELD_MANAGER, type NodeObject, dataDirectNodes, nodes, trimDataDirectNode } from './objects.ts';
import { counted, listed } from './wording.ts';

export interface RetireOptions {
  readonly api: KubeApi;
  readonly config: Config;
  readonly pod: { readonly namespace: string; readonly name: string };
  readonly log: Log;
  readonly clock?: Clock;
}

type Deployment = KubeObject & { spec: { replicas: number } };
const deployments: Resource<Deployment> = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};

/** A leader that was killed is believed to lead for 15 s more; one that is asked to end needs a few. */
const aloneWithinMs = 60_000;
/** Agents that run follow within seconds; those that do not are not waited for any longer. */
const withdrawnWithinMs = 30_000;
const lookEveryMs = 1_000;
const atOnce = 8;
const attempts = 5;
const firstRetryMs = 500;

export async function retire(options: RetireOptions): Promise<void> {
  await scaleToZero(options);
  const alone = await becomeLeader(options);
  try {
    await withdraw(options, alone.signal);
    await removeNodeObjects(options, alone.signal);
    await removeLabels(options, alone.signal);
    await removeHeartbeats(options, alone.signal);
  } finally {
    await alone.elector.stop();
  }
  const { api, config, pod, log } = options;
  await unlessGone(api.delete(leases, { name: config.lease.name, namespace: pod.namespace }));
  log.info('retired: DataDirectPaths and CRDs are left as they are');
}

async function scaleToZero({ api, config, pod, log }: RetireOptions): Promise<void> {
  const deployment = { name: config.deployment.name, namespace: pod.namespace };
  const as = { fieldManager: FIELD_MANAGER };
  const scaled = await unlessGone(api.patch(deployments, deployment, { spec: { replicas: 0 } }, as));
  log.info(
    { deployment: config.deployment.name },
    scaled ? 'the operator is scaled to 0' : 'there is no operator to scale down',
  );
}

/** By the Lease it is certain that no operator writes back what is taken away here, whatever pods still run. */
async function becomeLeader(options: RetireOptions): Promise<{ elector: LeaderElector; signal: AbortSignal }> {
  const { api, config, pod, log, clock = systemClock } = options;
  const lost = new AbortController();
  const elected = Promise.withResolvers<boolean>();
  const elector = new LeaderElector({
    api,
    lease: { name: config.lease.name, namespace: pod.namespace },
    ...identityIn(pod.name),
    onElected: () => elected.resolve(true),
    onLost: (cause) =>
      lost.abort(new OperatorError('RETIRE_INTERRUPTED', `interrupted: ${cause.message}`, {}, { cause })),
    onError: (error) => log.warn(errorFields(error), 'waiting for the operator to end, will be tried again'),
    clock,
  });
  elector.start();
  const cancel = clock.after(aloneWithinMs, () => elected.resolve(false));
  const isAlone = await elected.promise;
  cancel();
  if (isAlone) {
    log.info({ lease: config.lease.name }, 'no operator is at work any more');
    return { elector, signal: lost.signal };
  }
  const holder = elector.leader;
  await elector.stop();
  throw new OperatorError(
    'RETIRE_NOT_ALONE',
    `${holder ?? 'somebody'} still holds Lease ${pod.namespace}/${config.lease.name} after ${aloneWithinMs / 1000} s: end that pod, then uninstall again`,
    { holder },
  );
}

async function withdraw(options: RetireOptions, signal: AbortSignal): Promise<void> {
  const { api, log, clock = systemClock } = options;
  const serving = (await listNodeObjects(api)).filter(({ spec }) => spec.resources.length > 0);
  // A merge patch, because server-side apply would bring back the object of a node that was deleted a moment ago.
  const as = { fieldManager: FIELD_MANAGER, signal };
  await each(options, signal, serving, ({ metadata: { name } }) =>
    api.patch(dataDirectNodes, { name }, { spec: { resources: [] } }, as),
  );
  const end = clock.now() + withdrawnWithinMs;
  for (;;) {
    const holding = (await listNodeObjects(api))
      .filter((object) => !hasWithdrawn(object))
      .map(({ metadata }) => metadata.name);
    if (holding.length === 0) return log.info('every agent has taken its devices back from the kubelet');
    if (clock.now() >= end) {
      const nodeNames = listed(holding);
      return log.warn(
        { nodes: nodeNames },
        `${counted(holding.length, 'agent')} did not answer in ${withdrawnWithinMs / 1000} s; going on without`,
      );
    }
    await sleep(clock, lookEveryMs, signal);
    signal.throwIfAborted();
  }
}

async function removeNodeObjects(options: RetireOptions, signal: AbortSignal): Promise<void> {
  const objects = await listNodeObjects(options.api);
  await each(options, signal, objects, ({ metadata: { name } }) =>
    options.api.delete(dataDirectNodes, { name }, { signal }),
  );
  options.log.info(`${counted(objects.length, 'DataDirectNode')} deleted`);
}

async function removeLabels(options: RetireOptions, signal: AbortSignal): Promise<void> {
  const labelled = (await options.api.list(nodes)).items.flatMap(({ metadata: { name, labels: has = {} } }) => {
    const labels = labelChanges(has, {});
    return labels ? [{ name, labels }] : [];
  });
  const as = { fieldManager: FIELD_MANAGER, signal };
  await each(options, signal, labelled, ({ name, labels }) =>
    options.api.patch(nodes, { name }, { metadata: { labels } }, as),
  );
  options.log.info(`labels taken off ${counted(labelled.length, 'node')}`);
}

async function removeHeartbeats(options: RetireOptions, signal: AbortSignal): Promise<void> {
  const { namespace } = options.pod;
  const { items } = await options.api.list(leases, { namespace });
  const heartbeats = items.map(({ metadata }) => metadata.name).filter((name) => nodeOfHeartbeat(name) !== undefined);
  await each(options, signal, heartbeats, (name) => options.api.delete(leases, { name, namespace }, { signal }));
  options.log.info(`${counted(heartbeats.length, 'heartbeat Lease')} deleted`);
}

/** None without the CRD: a release whose installation failed half-way can be uninstalled too. */
async function listNodeObjects(api: KubeApi): Promise<NodeObject[]> {
  return ((await unlessGone(api.list(dataDirectNodes)))?.items ?? []).map(trimDataDirectNode);
}

/** Does `work` for all items, a few at once; one that fails is tried again a few times, one that is gone is done. */
async function each<T>(
  { log, clock = systemClock }: RetireOptions,
  signal: AbortSignal,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) {
      for (let attempt = 1; ; attempt += 1) {
        signal.throwIfAborted();
        try {
          await unlessGone(work(item));
          break;
        } catch (error) {
          if (attempt >= attempts) throw error;
          log.warn(errorFields(error), 'will be tried again');
          await sleep(clock, firstRetryMs * 2 ** (attempt - 1), signal);
        }
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isKubeError(error, 'KUBE_NOT_FOUND')) return undefined;
    throw error;
  }
}
