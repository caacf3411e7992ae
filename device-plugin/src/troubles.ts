// Troubles outside of rounds: all are counted; the log gets each once, and again only after a while, for one outage means many tries.
import { errorFields, type Log } from '@data-direct/process';

import type { Metrics } from './metrics.ts';
import type { OnTrouble } from './node-object.ts';

const SILENCE_MS = 10 * 60_000;

/** `now`: monotonic milliseconds. */
export function troubleTeller(log: Log, metrics: Metrics, now: () => number): OnTrouble {
  const told = new Map<string, { readonly error: string; readonly at: number }>();
  return (part, error) => {
    metrics.trouble(part, error);
    const fields = errorFields(error);
    const before = told.get(part);
    if (before?.error === fields.error && now() - before.at < SILENCE_MS) return;
    told.set(part, { error: fields.error, at: now() });
    log.warn({ part, ...fields }, TROUBLES[part]);
  };
}

const TROUBLES: Readonly<Record<Parameters<OnTrouble>[0], string>> = {
  checkpoint: 'the last spec is not on disk',
  allocations: 'what containers were given is not known from before',
  spec: 'a spec was not followed; the one before goes on',
  cdi: 'CDI files are not as they should be; containers are given device nodes alone',
  'rdma-core': 'containers keep the rdma-core of their images',
  devices: 'links to device nodes are not as they should be; containers are given the nodes by their own names',
  api: 'the API server did not take or give something; tried again',
};
