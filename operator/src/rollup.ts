// One status out of many: a policy and what is known of its nodes → DataDirectPath.status. Pure. How phases are told is in phases.ts.
import { isDeepStrictEqual } from 'node:util';

import {
  CONDITIONS,
  type Condition,
  type DataDirectMode,
  type DataDirectPathStatus,
  type NodePath,
} from '@data-direct/crds';

import type { Assignment } from './assign.ts';
import type { Life } from './liveness.ts';
import type { NodeObject } from './objects.ts';
import { type Summary, phaseOf } from './phases.ts';
import type { Policy } from './policy.ts';
import { type Verdict, verdictOn } from './verdict.ts';
import { SHOWN_NAMES, counted, listed } from './wording.ts';

/** A node to which the policy applies. */
export interface NodeReport {
  readonly name: string;
  readonly assignment: Assignment;
  readonly object: NodeObject | undefined;
  readonly life: Life;
}

interface JudgedPath {
  readonly node: string;
  readonly path: NodePath;
  readonly verdict: Verdict;
}

interface JudgedNode extends NodeReport {
  readonly paths: readonly JudgedPath[];
  /** What the agent says of the policy's resource; undefined if nothing, or if it is silent. */
  readonly resource: { readonly healthy: number } | undefined;
  /** What keeps the agent as a whole from serving. */
  readonly trouble: string | undefined;
}

/** `now` is only written down where a condition changes its status. */
export function rollUp(policy: Policy, reports: readonly NodeReport[], now: string): DataDirectPathStatus {
  const nodes = reports.map((report) => judge(policy, report)).toSorted((a, b) => order(a.name, b.name));
  const paths = nodes.flatMap((node) => node.paths);
  const summary = summarize(policy, nodes, paths);
  return {
    observedGeneration: policy.generation,
    conditions: conditionsOf(policy, summary, now),
    nodes: {
      selected: nodes.length,
      ready: nodes.filter(isReady).length,
      degraded: summary.degradedNodes,
      notReporting: summary.silent.length,
    },
    paths: {
      total: paths.length,
      ready: summary.ready,
      degraded: paths.filter(({ path, verdict }) => verdict !== 'ready' && path.state === 'Degraded').length,
      allocatable: nodes.reduce((sum, { resource }) => sum + (resource?.healthy ?? 0), 0),
    },
    reasons: byReason(paths).map(([reason, found]) => ({
      reason,
      paths: found.length,
      nodes: [...new Set(found.map(({ node }) => node))].slice(0, SHOWN_NAMES),
    })),
  };
}

/** Ready's reason: the policy's phase. */
export function phaseIn(status: DataDirectPathStatus | undefined): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === CONDITIONS.Ready);
}

function judge(policy: Policy, report: NodeReport): JudgedNode {
  const entry = report.assignment.resources.find((resource) => resource.policy === policy.name);
  // Of a silent agent's paths nothing is known any more; the kubelet has taken its devices away.
  const status = entry && report.life !== 'silent' ? report.object?.status : undefined;
  const registered = status?.conditions?.find(({ type }) => type === CONDITIONS.Registered);
  return {
    ...report,
    paths: (status?.paths ?? [])
      .filter((path) => path.resource === entry?.name)
      .map((path) => ({ node: report.name, path, verdict: verdictOn(path, entry?.dataDirect as DataDirectMode) })),
    resource: status?.resources?.find(({ name }) => name === entry?.name),
    trouble:
      registered?.status === 'False' ? `${registered.reason} on ${report.name}: ${registered.message}` : undefined,
  };
}

function isEquipped({ paths }: JudgedNode): boolean {
  return paths.length > 0;
}

/** A node all of whose paths are excluded has none to be ready. */
function isReady(node: JudgedNode): boolean {
  return node.paths.some(({ verdict }) => verdict === 'ready') && !isDegraded(node);
}

function isDegraded({ paths, trouble }: JudgedNode): boolean {
  const allWell = paths.every(({ verdict }) => verdict === 'ready' || verdict === 'excluded');
  return paths.length > 0 && (!allWell || trouble !== undefined);
}

function summarize(policy: Policy, nodes: readonly JudgedNode[], paths: readonly JudgedPath[]): Summary {
  const wanted = paths.filter(({ verdict }) => verdict !== 'excluded');
  const namesOf = (holds: (node: JudgedNode) => boolean): string[] => nodes.filter(holds).map(({ name }) => name);
  return {
    acceptance: acceptanceOf(policy, nodes),
    selected: nodes.length,
    silent: namesOf(({ life }) => life === 'silent'),
    unheard: namesOf((node) => node.life !== 'silent' && node.resource === undefined),
    pending: namesOf((node) => node.life !== 'silent' && !hasTakenOver(node)),
    equipped: nodes.filter(isEquipped).length,
    degradedNodes: nodes.filter(isDegraded).length,
    total: paths.length,
    wanted: wanted.length,
    ready: wanted.filter(({ verdict }) => verdict === 'ready').length,
    usable: wanted.filter(({ verdict }) => verdict !== 'out').length,
    faults: [
      ...nodes.flatMap(({ paths: own, trouble }) => (own.length > 0 && trouble ? [trouble] : [])).slice(0, 1),
      ...byReason(paths).slice(0, 3).map(faultClause),
    ],
  };
}

function hasTakenOver({ object, assignment }: NodeReport): boolean {
  return (
    object?.status?.observedGeneration !== undefined &&
    object.status.observedGeneration === object.metadata.generation &&
    isDeepStrictEqual(object.spec.resources, assignment.resources)
  );
}

function acceptanceOf(policy: Policy, nodes: readonly NodeReport[]): Summary['acceptance'] {
  if (policy.problem !== undefined) {
    const kept =
      nodes.length > 0 ? `; what was accepted before stays in force on ${counted(nodes.length, 'node')}` : '';
    return { reason: 'Invalid', message: policy.problem + kept };
  }
  const conflicts = nodes
    .flatMap(({ assignment }) => assignment.conflicts)
    .filter((found) => found.policy === policy.name);
  const [first] = conflicts;
  if (first) {
    const more = conflicts.length > 1 ? ` (and ${conflicts.length - 1} more)` : '';
    return { reason: 'Conflict', message: `${first.what} is held by the older DataDirectPath ${first.holder}${more}` };
  }
  const idle = idleExclusions(policy, nodes);
  return {
    reason: 'Accepted',
    message:
      idle.length > 0 ? `accepted, but spec.exclude names what is not there: ${listed(idle)}` : 'the policy is valid',
  };
}

/** Exclusions that take nothing out of service: a slip, or a NIC that has left its node. Only said where the agent has reported. */
function idleExclusions(policy: Policy, nodes: readonly NodeReport[]): string[] {
  if (policy.problem !== undefined) return [];
  return (policy.spec.exclude ?? []).flatMap(({ node, nic }) => {
    const report = nodes.find(({ name }) => name === node);
    if (!report) return [`${nic} on ${node} (not a node of this policy)`];
    const paths = report.object?.status?.paths;
    // An excluded NIC without driver goes by its address alone: the agent remembers what it was called.
    const isThere = (path: NodePath): boolean =>
      path.id === nic || path.name === nic || (path.reason === 'Excluded' && path.name === path.id);
    return !paths || paths.some(isThere) ? [] : [`${nic} on ${node}`];
  });
}

/** Paths that are not Ready, by reason: most paths first, by name among equals. */
function byReason(paths: readonly JudgedPath[]): [reason: NodePath['reason'], found: JudgedPath[]][] {
  const groups = Map.groupBy(
    paths.filter(({ path }) => path.state !== 'Ready'),
    ({ path }) => path.reason,
  );
  return [...groups].toSorted(([a, left], [b, right]) => right.length - left.length || order(a, b));
}

function faultClause([reason, found]: [NodePath['reason'], JudgedPath[]]): string {
  const [first] = found;
  const more = found.length > 1 ? ` (and ${counted(found.length - 1, 'more path')})` : '';
  return `${reason}: ${first?.path.name} on ${first?.node}: ${first?.path.message}${more}`;
}

/** Longer ones are cut: the API server refuses them (crds/src/schema.ts), and the policy's other news with them. */
const MESSAGE_LIMIT = 32_768;

function conditionsOf(policy: Policy, summary: Summary, now: string): Condition[] {
  const { acceptance, pending } = summary;
  const { phase, ready, message } = phaseOf(summary);
  const accepted = acceptance.reason === 'Accepted' ? 'True' : 'False';
  const before = policy.object.status?.conditions ?? [];
  const condition = (type: string, status: Condition['status'], reason: string, sentence: string): Condition => {
    const last = before.find((old) => old.type === type);
    return {
      type,
      status,
      reason,
      message: sentence.slice(0, MESSAGE_LIMIT),
      lastTransitionTime: last?.status === status ? last.lastTransitionTime : now,
      observedGeneration: policy.generation,
    };
  };
  return [
    condition(CONDITIONS.Accepted, accepted, acceptance.reason, acceptance.message),
    condition(CONDITIONS.Ready, ready, phase, message(summary)),
    pending.length > 0
      ? condition(
          CONDITIONS.Progressing,
          'True',
          'NodesPending',
          `${counted(pending.length, 'node')} yet to take this over: ${listed(pending)}`,
        )
      : condition(CONDITIONS.Progressing, 'False', 'UpToDate', 'every node that reports has taken this over'),
  ];
}

function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
