// What Prometheus can scrape; docs/reference/metrics.md says it to people. Labels are bounded: resources by the node's spec, reasons and codes by
// their tables, and series of single paths by a number: a node with hundreds of VFs is not to fill a database.
import type { Path, VerificationLevel } from '@data-direct/driver-core';
import { codeOf } from '@data-direct/process';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import { type ContainerFinding, JUDGED_REASONS } from './containers/findings.ts';
import type { Assignment } from './pool.ts';

/** Paths beyond these are counted and have no series of their own. Those that a resource holds come first. */
const MOST_SINGLE_PATHS = 128;
const LEVELS: readonly VerificationLevel[] = ['None', 'Probe', 'Registration'];

export class Metrics {
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  /** Of the last round. */
  #resources: ReadonlySet<string> = new Set();

  readonly #paths = new Gauge({
    name: 'data_direct_paths',
    help: 'Paths of the node, by state and reason',
    labelNames: ['state', 'reason'] as const,
    registers: this.#registers,
  });
  readonly #verified = new Gauge({
    name: 'data_direct_paths_verified',
    help: 'Paths by the verification that they have passed: None, Probe or Registration',
    labelNames: ['level'] as const,
    registers: this.#registers,
  });
  readonly #pathState = new Gauge({
    name: 'data_direct_path_state',
    help: `1 for the state and reason that a path has now; of the first ${MOST_SINGLE_PATHS} paths`,
    labelNames: ['path', 'name', 'reason', 'state'] as const,
    registers: this.#registers,
  });
  readonly #devices = new Gauge({
    name: 'data_direct_devices',
    help: 'Devices told to the kubelet, by health',
    labelNames: ['resource', 'health'] as const,
    registers: this.#registers,
  });
  readonly #rounds = new Histogram({
    name: 'data_direct_round_duration_seconds',
    help: 'Time from reading the hardware to the kubelet being told',
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: this.#registers,
  });
  readonly #asked = new Counter({
    name: 'data_direct_rounds_asked_total',
    help: 'Wishes for a round, by cause: start, uevents, ports, rescan, gap, due; due: verification, or a port is steady',
    labelNames: ['cause'] as const,
    registers: this.#registers,
  });
  readonly #registrations = new Counter({
    name: 'data_direct_kubelet_registrations_total',
    help: 'Registrations with the kubelet that came about (registered), or ended by an error (failed)',
    labelNames: ['resource', 'result'] as const,
    registers: this.#registers,
  });
  readonly #allocations = new Histogram({
    name: 'data_direct_allocation_duration_seconds',
    help: 'Time to answer Allocate for one container',
    labelNames: ['resource', 'result'] as const,
    buckets: [0.0001, 0.001, 0.01, 0.1],
    registers: this.#registers,
  });
  readonly #verifications = new Counter({
    name: 'data_direct_container_verifications_total',
    help: 'Verifications before the start of a container, by whether it could start: passed or refused',
    labelNames: ['resource', 'result'] as const,
    registers: this.#registers,
  });
  readonly #containers = new Gauge({
    name: 'data_direct_container_findings',
    help: 'Containers whose environment does not fit the paths they hold, by reason',
    labelNames: ['reason'] as const,
    registers: this.#registers,
  });
  readonly #troubles = new Counter({
    name: 'data_direct_troubles_total',
    help: 'Failures that are lived with or tried again, by part: round, checkpoint, allocations, spec, api, cdi, devices, rdma-core, pod-resources',
    labelNames: ['part', 'code'] as const,
    registers: this.#registers,
  });

  constructor(version: string) {
    new Gauge({
      name: 'data_direct_agent_info',
      help: '1, with the version of the agent',
      labelNames: ['version'],
      registers: this.#registers,
    }).set({ version }, 1);
  }

  /** What a round found; of paths and devices that are gone nothing stays. */
  round({ paths, pools }: Assignment, seconds: number): void {
    this.#rounds.observe(seconds);
    this.#observed(paths, new Set(pools.flatMap((pool) => pool.paths)));
    this.#forget(new Set(pools.map(({ resource }) => resource.name)));
    this.#devices.reset();
    for (const { resource, devices } of pools) {
      const healthy = devices.filter((device) => device.healthy).length;
      this.#devices.set({ resource: resource.name, health: 'healthy' }, healthy);
      this.#devices.set({ resource: resource.name, health: 'unhealthy' }, devices.length - healthy);
    }
  }

  #observed(paths: readonly Path[], held: ReadonlySet<Path>): void {
    this.#paths.reset();
    this.#pathState.reset();
    for (const { state, reason } of paths) this.#paths.inc({ state, reason });
    for (const level of LEVELS) this.#verified.set({ level }, paths.filter((path) => path.verified === level).length);
    const byImportance = paths.toSorted((a, b) => Number(held.has(b)) - Number(held.has(a)));
    for (const { id, name, reason, state } of byImportance.slice(0, MOST_SINGLE_PATHS))
      this.#pathState.set({ path: id, name, reason, state }, 1);
  }

  /** Series of resources that are gone go too: over the years a node may see any number of names. */
  #forget(now: ReadonlySet<string>): void {
    for (const resource of this.#resources) {
      if (now.has(resource)) continue;
      for (const result of ['registered', 'failed']) this.#registrations.remove({ resource, result });
      for (const result of ['ok', 'error']) this.#allocations.remove({ resource, result });
      for (const result of ['passed', 'refused']) this.#verifications.remove({ resource, result });
    }
    this.#resources = now;
  }

  roundAsked(cause: string): void {
    this.#asked.inc({ cause });
  }

  registration(resource: string, result: 'registered' | 'failed'): void {
    this.#registrations.inc({ resource, result });
  }

  allocation(resource: string, result: 'ok' | 'error', seconds: number): void {
    this.#allocations.observe({ resource, result }, seconds);
  }

  verification(resource: string, result: 'passed' | 'refused'): void {
    this.#verifications.inc({ resource, result });
  }

  containers(findings: readonly ContainerFinding[]): void {
    for (const reason of JUDGED_REASONS)
      this.#containers.set({ reason }, findings.filter((each) => each.reason === reason).length);
  }

  trouble(
    part: 'round' | 'allocations' | 'checkpoint' | 'spec' | 'api' | 'cdi' | 'devices' | 'rdma-core' | 'pod-resources',
    error: unknown,
  ): void {
    this.#troubles.inc({ part, code: codeOf(error) ?? 'none' });
  }
}
