// The phases of a policy: the reason of its Ready condition, what makes it, and how it is told. Facts come from rollup.ts.
import type { Condition } from '@data-direct/crds';

import { counted, listed } from './wording.ts';

/** A policy's cluster in numbers and names. Excluded paths count in `total` only: they are out on purpose. */
export interface Summary {
  readonly acceptance: { readonly reason: 'Accepted' | 'Conflict' | 'Invalid'; readonly message: string };
  readonly selected: number;
  /** Nodes whose agent is silent: nothing is known of their paths. */
  readonly silent: readonly string[];
  /** Nodes whose agent has not said anything of this policy's resource yet. */
  readonly unheard: readonly string[];
  /** Nodes whose agent has not taken over what the policy says now. */
  readonly pending: readonly string[];
  /** Nodes with paths of the policy. */
  readonly equipped: number;
  readonly degradedNodes: number;
  readonly total: number;
  readonly wanted: number;
  readonly ready: number;
  readonly usable: number;
  /** What is not as it should be, as clauses; most paths first. */
  readonly faults: readonly string[];
}

interface Phase {
  readonly phase: string;
  readonly ready: Condition['status'];
  readonly event: 'Normal' | 'Warning';
  readonly holds: (summary: Summary) => boolean;
  readonly message: (summary: Summary) => string;
}

/** The first that holds is the phase; the order is that in which a person would mend. */
const phases: readonly Phase[] = [
  {
    phase: 'Invalid',
    ready: 'False',
    event: 'Warning',
    holds: ({ acceptance }) => acceptance.reason === 'Invalid',
    message: ({ acceptance }) => acceptance.message,
  },
  {
    phase: 'Conflict',
    ready: 'False',
    event: 'Warning',
    holds: ({ acceptance }) => acceptance.reason === 'Conflict',
    message: ({ acceptance }) => acceptance.message,
  },
  {
    phase: 'NoNodes',
    ready: 'False',
    event: 'Warning',
    holds: ({ selected }) => selected === 0,
    message: () => 'no node matches spec.nodeSelector',
  },
  {
    phase: 'NotReporting',
    ready: 'Unknown',
    event: 'Warning',
    holds: ({ selected, silent }) => silent.length === selected,
    message: ({ silent }) => silenceOf(silent),
  },
  {
    phase: 'Starting',
    ready: 'False',
    event: 'Normal',
    holds: (summary) => summary.unheard.length > 0 && (summary.total === 0 || allWell(summary)),
    message: story,
  },
  {
    phase: 'NoPaths',
    ready: 'False',
    event: 'Warning',
    holds: ({ total }) => total === 0,
    message: ({ selected, silent }) =>
      [
        `spec.nics selects no NIC on ${counted(selected - silent.length, 'node')}`,
        silent.length > 0 && silenceOf(silent),
      ]
        .filter(Boolean)
        .join('; '),
  },
  {
    phase: 'AllPathsReady',
    ready: 'True',
    event: 'Normal',
    holds: (summary) => summary.wanted > 0 && allWell(summary),
    message: story,
  },
  {
    phase: 'Unavailable',
    ready: 'False',
    event: 'Warning',
    holds: ({ usable }) => usable === 0,
    message: story,
  },
];

/** None of the above: some paths do not do what the policy asks, or some nodes are not heard of. */
const degraded: Phase = { phase: 'Degraded', ready: 'False', event: 'Warning', holds: () => true, message: story };

export function phaseOf(summary: Summary): Phase {
  return phases.find(({ holds }) => holds(summary)) ?? degraded;
}

/** How loud a change to this phase is told. */
export function eventTypeOf(phase: string): 'Normal' | 'Warning' {
  return (phases.find((row) => row.phase === phase) ?? degraded).event;
}

function allWell({ wanted, ready, degradedNodes, silent }: Summary): boolean {
  return ready === wanted && degradedNodes === 0 && silent.length === 0;
}

function story({ ready, total, equipped, faults, silent, unheard }: Summary): string {
  const clauses = [
    total > 0 && `${ready} of ${counted(total, 'path')} ready on ${counted(equipped, 'node')}`,
    ...faults,
    unheard.length > 0 && `waiting for the agent on ${counted(unheard.length, 'node')}: ${listed(unheard)}`,
    silent.length > 0 && silenceOf(silent),
  ];
  return clauses.filter(Boolean).join('; ');
}

function silenceOf(silent: readonly string[]): string {
  return `no agent reports on ${counted(silent.length, 'node')}: ${listed(silent)}`;
}
