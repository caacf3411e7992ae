// What is logged and counted of the kubelet's doings, and what of it changes the status.
import { errorFields, type Log, sentenceOf } from '@data-direct/process';

import type { Allocation } from './containers/allocations.ts';
import { AgentError } from './errors.ts';
import type { KubeletEvents } from './kubelet/kubelet.ts';
import type { Metrics } from './metrics.ts';

/** An allocation shows in pod-resources once the kubelet has put it down. */
const ALLOCATION_SETTLES_MS = 1000;

/** What the kubelet's doings ask the agent for. */
export interface Wishes {
  readonly reportAgain: () => void;
  /** Not at once: many things that happen may be told together. */
  readonly reportLater: () => void;
  readonly roundAgain: () => void;
  /** What the kubelet will replay at every start of the container. */
  readonly remember: (allocation: Allocation) => void;
  /** An answer leaves garbage behind. */
  readonly worked: () => void;
  /** An event that people see on the node's object. */
  readonly warn: (reason: string, action: string, note: string) => void;
}

export function kubeletEvents(log: Log, metrics: Metrics, wishes: Wishes): KubeletEvents {
  const { reportAgain, reportLater, roundAgain, remember, worked, warn } = wishes;
  let settling: NodeJS.Timeout | undefined;
  const reportOnceSettled = (): void => {
    settling ??= setTimeout(() => {
      settling = undefined;
      reportAgain();
    }, ALLOCATION_SETTLES_MS).unref();
  };
  return {
    registered: (resource) => {
      log.info({ resource }, 'the kubelet follows this resource');
      metrics.registration(resource, 'registered');
      reportAgain();
    },
    lost: (resource, error) => {
      if (error !== undefined) {
        log.warn({ resource, ...errorFields(error) }, 'the kubelet does not follow this resource; trying again');
        metrics.registration(resource, 'failed');
      }
      reportAgain();
    },
    allocated: (resource, ids, seconds, error, answer) => {
      metrics.allocation(resource, error === undefined ? 'ok' : 'error', seconds);
      if (error === undefined) log.info({ resource, ids }, 'allocated');
      else log.warn({ resource, ...errorFields(error) }, 'an allocation was refused');
      if (answer) remember({ resource, ids, env: answer.envs });
      reportOnceSettled();
      worked();
    },
    devicesGiven: reportLater,
    verified: (resource, error) => {
      metrics.verification(resource, error === undefined ? 'passed' : 'refused');
      if (error === undefined) return;
      log.warn({ resource, ...errorFields(error) }, 'a container was kept from starting');
      const reason = error instanceof AgentError ? error.fields['reason'] : undefined;
      if (typeof reason === 'string') warn(reason, 'PreStartContainer', sentenceOf(error));
      roundAgain();
    },
  };
}
