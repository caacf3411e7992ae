// Tells people what a round found: the node's status, one log line a transition, and how much of it is in use.
import { type ContainerStatus, type DataDirectNodeStatus, GROUP, type PathReason } from '@data-direct/crds';
import { errorFields, type Log } from '@data-direct/process';

import type { GpuNames } from './allocation/gpu-names.ts';
import type { Allocations } from './containers/allocations.ts';
import { type ContainerFinding, containerFindings } from './containers/findings.ts';
import type { PodResources } from './kubelet/pod-resources.ts';
import type { ContainerDevices } from './kubelet/protocol.ts';
import type { Metrics } from './metrics.ts';
import type { NodeObject } from './node-object.ts';
import { newContainers, nodeStatus, transitions } from './node-status.ts';
import type { Assignment } from './pool.ts';
import { AGENT_VERSION } from './version.ts';

export interface ReporterOptions {
  readonly node: NodeObject;
  readonly podResources: PodResources;
  readonly gpuNames: GpuNames;
  readonly allocations: Allocations;
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
  /** How often the port of a path was seen to fall. */
  readonly portFalls: (path: string) => number;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #logged = new Map<string, PathReason>();
  #loggedContainers: ReadonlyMap<string, ContainerStatus> = new Map();
  #podResourcesAnswered = true;
  #allocationsSaved = true;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** True where it may soon be out of date without anybody telling: containers that hold paths end, and what failed is to be tried again. */
  async report(
    { assignment, generation, portFalls }: Result,
    isRegistered: (resource: string) => boolean,
  ): Promise<boolean> {
    const { node, now, kernelRelease } = this.#options;
    await this.#save(isWithdrawn(assignment, generation));
    const held = await this.#held();
    const containers = held && this.#judge(held, assignment);
    const allocated = held && counted(held);
    const previous = node.status();
    const status = nodeStatus(
      {
        assignment,
        isRegistered,
        allocated,
        containers,
        generation,
        portFalls,
        kernel: kernelRelease,
        agentVersion: AGENT_VERSION,
        now: now(),
      },
      previous,
    );
    this.#log(status);
    this.#logContainers(status);
    node.report(status, transitions(previous, status), newContainers(previous, status));
    return allocated === undefined || allocated.size > 0 || !this.#allocationsSaved;
  }

  /** What every container on the node holds; undefined where the kubelet could not be asked. */
  async #held(): Promise<readonly ContainerDevices[] | undefined> {
    const { podResources, log, metrics } = this.#options;
    try {
      const held = await podResources.list();
      this.#podResourcesAnswered = true;
      return held;
    } catch (error) {
      metrics.trouble('pod-resources', error);
      if (this.#podResourcesAnswered) log.warn(errorFields(error), 'status goes without what containers hold');
      this.#podResourcesAnswered = false;
      return undefined;
    }
  }

  #judge(held: readonly ContainerDevices[], assignment: Assignment): ContainerFinding[] {
    const { allocations, gpuNames, metrics } = this.#options;
    const gpus = new Set(assignment.paths.flatMap((path) => path.gpus.map(({ address }) => address)));
    const findings = containerFindings({
      held,
      given: (resource, ids) => allocations.given(resource, ids),
      assignment,
      addressOf: gpuNames.addressOf(gpus),
    });
    metrics.containers(findings);
    return findings;
  }

  /** An allocation makes a report, so this is soon after it. What cannot be written is known from memory, and tried at the next report. */
  async #save(withdrawn: boolean): Promise<void> {
    const { allocations, log, metrics } = this.#options;
    try {
      if (withdrawn) allocations.clear();
      else await allocations.save();
      this.#allocationsSaved = true;
    } catch (error) {
      metrics.trouble('allocations', error);
      if (this.#allocationsSaved)
        log.warn(errorFields(error), 'what containers were given is not on disk; tried again');
      this.#allocationsSaved = false;
    }
  }

  /** One line when something is found, and one when it is over. */
  #logContainers({ containers = [] }: DataDirectNodeStatus): void {
    const { log } = this.#options;
    const before = this.#loggedContainers;
    this.#loggedContainers = new Map(containers.map((each) => [keyOf(each), each]));
    for (const [key, { namespace, pod, container, reason, message }] of this.#loggedContainers)
      if (!before.has(key)) log.warn({ namespace, pod, container, reason }, message);
    for (const [key, { namespace, pod, container, reason }] of before)
      if (!this.#loggedContainers.has(key))
        log.info({ namespace, pod, container, reason }, 'no longer so, or the pod is gone');
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

/** A spec that says so; that none is known yet is something else. */
function isWithdrawn({ pools }: Assignment, generation: number | undefined): boolean {
  return pools.length === 0 && generation !== undefined;
}

/** Devices of ours that containers hold, by resource as the policy names it. */
function counted(held: readonly ContainerDevices[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { resource, ids } of held) {
    const [group, name = ''] = resource.split('/');
    if (group === GROUP) counts.set(name, (counts.get(name) ?? 0) + ids.length);
  }
  return counts;
}

function keyOf({ namespace, pod, container, reason }: ContainerStatus): string {
  return [namespace, pod, container, reason].join('/');
}
