// The labels by which pods find nodes: `datadirect.dev/<resourceName>` = ready | degraded | none. Pure.
import { GROUP, type NodeResource, nodeLabel } from '@data-direct/crds';

import type { Labels } from './label-selector.ts';
import type { Life } from './liveness.ts';
import type { NodeObject } from './objects.ts';
import { verdictOn } from './verdict.ts';

type State = 'ready' | 'degraded' | 'none';
const states: readonly string[] = ['ready', 'degraded', 'none'] satisfies State[];

/** What the node's labels should say of its resources. */
export function labelsFor(resources: readonly NodeResource[], object: NodeObject | undefined, life: Life): Labels {
  return Object.fromEntries(
    resources.map((resource) => [nodeLabel(resource.name), life === 'silent' ? 'none' : stateOf(resource, object)]),
  );
}

/** What must change for the node's labels to be the wanted ones: null takes one away. Undefined if nothing. */
export function labelChanges(has: Labels, wanted: Labels): Record<string, string | null> | undefined {
  const removed = Object.keys(has).filter((key) => isOurs(key, has[key]) && !(key in wanted));
  const set = Object.entries(wanted).filter(([key, value]) => has[key] !== value);
  if (removed.length + set.length === 0) return undefined;
  return { ...Object.fromEntries(removed.map((key) => [key, null])), ...Object.fromEntries(set) };
}

function stateOf({ name, dataDirect }: NodeResource, object: NodeObject | undefined): State {
  const paths = (object?.status?.paths ?? []).filter((path) => path.resource === name);
  const verdicts = paths.map((path) => verdictOn(path, dataDirect)).filter((verdict) => verdict !== 'excluded');
  if (verdicts.every((verdict) => verdict === 'out')) return 'none';
  return verdicts.every((verdict) => verdict === 'ready') ? 'ready' : 'degraded';
}

/** A person may use our prefix for a label of their own, to select nodes by: only values that we write are ours. */
function isOurs(key: string, value: string | undefined): boolean {
  return key.startsWith(`${GROUP}/`) && value !== undefined && states.includes(value);
}
