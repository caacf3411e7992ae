// What Prometheus is told. Gauges are read from the caches when asked for, so that nothing deleted lives on in them.
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';

import type { Controller, ControllerOptions } from './controller.ts';
import { phaseIn } from './rollup.ts';

export interface Metrics {
  readonly tally: ControllerOptions['tally'];
  readonly registry: Registry;
}

export interface Observed {
  readonly isLeader: () => boolean;
  /** Undefined while this replica does not lead. */
  readonly controller: () => Controller | undefined;
  /** Monotonic milliseconds of the controller's clock. */
  readonly now: () => number;
}

export function createMetrics({ isLeader, controller, now }: Observed): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const writes = new Counter({
    name: 'data_direct_operator_writes_total',
    help: 'Writes that the API server took',
    labelNames: ['object'] as const,
    registers,
  });
  const failures = new Counter({
    name: 'data_direct_operator_failures_total',
    help: 'Failures that are tried again: of rounds, or of watching a resource',
    labelNames: ['of'] as const,
    registers,
  });
  gauge('data_direct_operator_leader', '1 if this replica leads', [], (set) => set({}, Number(isLeader())));
  gauge('data_direct_operator_backlog', 'Nodes and policies that wait for a round, now or at a set time', [], (set) =>
    set({}, controller()?.backlog ?? 0),
  );
  gauge('data_direct_operator_watch_objects', 'Objects in the cache', ['resource'], (set) => {
    for (const [resource, one] of followed()) set({ resource }, one.health().objects);
  });
  gauge(
    'data_direct_operator_watch_silence_seconds',
    'Time since the API server was last heard',
    ['resource'],
    (set) => {
      for (const [resource, one] of followed()) {
        const { lastHeardAt } = one.health();
        if (lastHeardAt !== undefined) set({ resource }, (now() - lastHeardAt) / 1000);
      }
    },
  );
  gauge('data_direct_policy_phase', 'The phase of each DataDirectPath', ['policy', 'phase'], (set) => {
    for (const { metadata, status } of policies())
      set({ policy: metadata.name, phase: phaseIn(status)?.reason ?? 'Unknown' }, 1);
  });
  gauge('data_direct_policy_nodes', 'Nodes of each DataDirectPath, as in its status', ['policy', 'nodes'], (set) => {
    for (const { metadata, status } of policies()) {
      for (const [nodes, count] of Object.entries(status?.nodes ?? {})) set({ policy: metadata.name, nodes }, count);
    }
  });
  gauge('data_direct_policy_paths', 'Paths of each DataDirectPath, as in its status', ['policy', 'paths'], (set) => {
    for (const { metadata, status } of policies()) {
      for (const [paths, count] of Object.entries(status?.paths ?? {})) set({ policy: metadata.name, paths }, count);
    }
  });

  return {
    tally: {
      wrote: (object) => writes.inc({ object }),
      failed: (of) => failures.inc({ of }),
    },
    registry,
  };

  function gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (set: (labels: Partial<Record<L, string>>, value: number) => void) => void,
  ): void {
    const made = new Gauge<L>({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        read((labels, value) => this.set(labels as Record<L, string>, value));
      },
    });
    void made; // it lives in the registry
  }

  function followed() {
    return controller()?.following() ?? [];
  }

  function policies() {
    return controller()?.policies() ?? [];
  }
}
