// Tells people what a round found: the node's status, one log line a transition, and how much of it is in use.
import { type DataDirectNodeStatus, GROUP, type PathReason } from '@data-direct/crds';
import { errorFields, type Log } from '@data-direct/process';

import type { PodResources } from './kubelet/pod-resources.ts';
import type { Metrics } from './metrics.ts';
import type { NodeObject } from './node-object.ts';
import { nodeStatus, transitions } from './node-status.ts';
import type { Assignment } from './pool.ts';
import { AGENT_VERSION } from './version.ts';

export interface ReporterOptions {
  readonly node: NodeObject;
  readonly podResources: PodResources;
  readonly kernelRelease: string;
  readonly now: () => Date;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What a round came to. */
export interface Result {
  readonly assignment: Assignment;
  /** Of the spec that was followed. */
  readonly generation: number | undefined;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #logged = new Map<string, PathReason>();
  #podResourcesAnswered = true;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  async report({ assignment, generation }: Result, isRegistered: (resource: string) => boolean): Promise<void> {
    const { node, now, kernelRelease } = this.#options;
    const allocated = await this.#allocated();
    const previous = node.status();
    const status = nodeStatus(
      {
        assignment,
        isRegistered,
        allocated,
        generation,
        kernel: kernelRelease,
        agentVersion: AGENT_VERSION,
        now: now(),
      },
      previous,
    );
    this.#log(status);
    node.report(status, transitions(previous, status));
  }

  /** Devices that containers hold, by resource as the policy names it. */
  async #allocated(): Promise<ReadonlyMap<string, number> | undefined> {
    const { podResources, log, metrics } = this.#options;
    try {
      const counts = new Map<string, number>();
      for (const { resource, ids } of await podResources.list()) {
        const [group, name = ''] = resource.split('/');
        if (group === GROUP) counts.set(name, (counts.get(name) ?? 0) + ids.length);
      }
      this.#podResourcesAnswered = true;
      return counts;
    } catch (error) {
      metrics.trouble('pod-resources', error);
      if (this.#podResourcesAnswered) log.warn(errorFields(error), 'status goes without allocated devices');
      this.#podResourcesAnswered = false;
      return undefined;
    }
  }

  #log({ paths = [] }: DataDirectNodeStatus): void {
    const { log } = this.#options;
    for (const { id, name, resource, state, reason, message } of paths) {
      if (this.#logged.get(id) === reason) continue;
      this.#logged.set(id, reason);
      const fields = { path: id, name, resource, state, reason };
      if (state === 'Ready' || resource === undefined) log.info(fields, message);
      else log.warn(fields, message);
    }
    const present = new Set(paths.map(({ id }) => id));
    for (const id of this.#logged.keys())
      if (!present.has(id) && this.#logged.delete(id)) log.warn({ path: id }, 'the path is gone');
  }
}
