// The operator as a process: one of several replicas leads and runs the controller; all of them answer probes.

import {
  accessReview,
  type Clock,
  EventRecorder,
  type KubeApi,
  type KubeError,
  LeaderElector,
  systemClock,
} from '@data-direct/kube';
import { errorFields, type Log, guarded, type Page, servePages } from '@data-direct/process';

import type { Config } from './config.ts';
import { Controller } from './controller.ts';
import { identityIn } from './identity.ts';
import { createMetrics } from './metrics.ts';
import { FIELD_MANAGER } from './objects.ts';

export interface OperatorOptions {
  readonly api: KubeApi;
  /** Connections of their own for asking who may read the metrics: who floods that page must not hold up the renewal of the Lease. */
  readonly reviewer: Pick<KubeApi, 'create' | 'close'>;
  readonly config: Config;
  readonly pod: { readonly namespace: string; readonly name: string };
  readonly log: Log;
  /** Another replica may lead now: the process must end. */
  readonly onLost: (error: KubeError) => void;
  readonly clock?: Clock;
}

export interface Operator {
  readonly httpPort: number;
  /** Stops deciding, writes the events that wait, then gives the Lease back so that another replica takes over at once. */
  stop(): Promise<void>;
}

/** Binds its port before anything else: a port that is taken is told at once. */
export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const { api, reviewer, config, pod, log, onLost, clock = systemClock } = options;
  let controller: Controller | undefined;
  const onError = (error: unknown): void => log.warn(errorFields(error), 'will be tried again');
  const recorder = new EventRecorder({
    api,
    reportingController: 'datadirect.dev/operator',
    reportingInstance: pod.name,
    onError,
    clock,
  });
  const elector = new LeaderElector({
    api,
    lease: { name: config.lease.name, namespace: pod.namespace },
    ...identityIn(pod.name),
    onElected: () => {
      log.info('leading');
      void lead();
    },
    onLost,
    onError,
    clock,
  });
  const metrics = createMetrics({
    isLeader: () => elector.isLeader,
    controller: () => controller,
    now: () => clock.now(),
  });

  const metricsPage = async (): Promise<Page> => ({
    status: 200,
    type: metrics.registry.contentType,
    body: await metrics.registry.metrics(),
  });
  const mayReadMetrics = accessReview({ api: reviewer, path: '/metrics', fieldManager: FIELD_MANAGER, clock });
  const http = await servePages({
    ...config.http,
    onError,
    pages: {
      '/healthz': () => ({ status: 200, body: 'ok' }),
      '/readyz': ready,
      '/metrics': config.http.metricsAccess === 'Open' ? metricsPage : guarded(metricsPage, mayReadMetrics),
    },
  });
  elector.start();
  log.info({ address: config.http.address, port: http.port, lease: config.lease.name }, 'waiting to lead');
  return { httpPort: http.port, stop };

  async function lead(): Promise<void> {
    controller = new Controller({
      api,
      namespace: pod.namespace,
      heartbeatMs: config.heartbeatSeconds * 1000,
      isLeading: () => elector.isLeader,
      recorder,
      log,
      tally: metrics.tally,
      clock,
    });
    try {
      await controller.start();
      log.info('the caches are full; deciding');
    } catch (error) {
      log.debug(errorFields(error), 'stopped before the caches were full');
    }
  }

  /** A replica that waits is ready when it knows who leads: then the API server can be reached. */
  function ready(): Page {
    if (elector.isLeader) {
      return controller?.isSynced
        ? { status: 200, body: 'leading' }
        : { status: 503, body: 'leading, but the caches are not full yet' };
    }
    if (elector.leader) return { status: 200, body: `waiting; ${elector.leader} leads` };
    return {
      status: 503,
      body: `nobody is known to lead: Lease ${pod.namespace}/${config.lease.name} has not been read yet`,
    };
  }

  async function stop(): Promise<void> {
    await controller?.stop();
    await recorder.stop();
    await elector.stop();
    http.close();
    reviewer.close();
    api.close();
  }
}
