// What the agent shows over HTTP: /healthz, /readyz and /metrics.
import { accessReview, connect, inCluster } from '@data-direct/kube';
import { guarded, type HttpConfig, type PageMaker, type Pages, verdict } from '@data-direct/process';
import type { Registry } from 'prom-client';

import type { Agent } from './agent.ts';
import { AGENT_VERSION } from './version.ts';

const REVIEWER = 'data-direct-agent';

export function agentPages(
  agent: Pick<Agent, 'illness' | 'unready'>,
  registry: Registry,
  { metricsAccess }: Pick<HttpConfig, 'metricsAccess'>,
): Pages {
  const metrics: PageMaker = async () => ({
    status: 200,
    body: await registry.metrics(),
    type: registry.contentType,
  });
  return {
    '/healthz': () => verdict(agent.illness()),
    '/readyz': () => verdict(agent.unready()),
    '/metrics': metricsAccess === 'Open' ? metrics : guarded(metrics, reviewer()),
  };
}

/** On a connection of its own: who scrapes does not wait behind what the agent has to write. */
function reviewer(): (token: string) => Promise<boolean> {
  const api = connect(inCluster(), { userAgent: `${REVIEWER}/${AGENT_VERSION}` });
  return accessReview({ api, path: '/metrics', fieldManager: REVIEWER });
}
