// What is taken from a DataDirectPath, once read: the rule it sets, or why it sets none. Pure. Conflicts between policies are in assign.ts.
import {
  type DataDirectPathSpec,
  fit,
  type Misfit,
  nodeLabel,
  pathSpecShape,
  PATHS_VARIABLE_PREFIX,
  sentence,
  VARIABLES,
} from '@data-direct/crds';

import { type Labels, matches, selectorKeys, selectorProblems } from './label-selector.ts';
import type { PolicyObject } from './objects.ts';

interface Read {
  readonly name: string;
  readonly generation: number;
  readonly object: PolicyObject;
}

export type ValidPolicy = Read & { readonly spec: DataDirectPathSpec; readonly problem?: never };
/** `problem` names each field that is wrong, and what was expected of it. */
type InvalidPolicy = Read & { readonly problem: string };
export type Policy = ValidPolicy | InvalidPolicy;

/** Oldest first, and by name among equals: the order in which policies are served. */
export function readPolicies(objects: Iterable<PolicyObject>): Policy[] {
  const claims: LabelClaims = { setBy: new Map(), selectedBy: new Map() };
  return [...objects].toSorted(byAge).map((object) => claim(readPolicy(object), claims));
}

/** Node labels by the policies that set them, and by those that select by them. */
interface LabelClaims {
  readonly setBy: Map<string, string>;
  readonly selectedBy: Map<string, string>;
}

/** No policy selects nodes by what a policy labels them with: two could undo each other in turn, for ever. The older one stands. */
function claim(policy: Policy, { setBy, selectedBy }: LabelClaims): Policy {
  if (policy.problem !== undefined) return policy;
  const { name, generation, object, spec } = policy;
  const result = nodeLabel(spec.resourceName);
  const keys = selectorKeys(spec.nodeSelector);
  const selecting = selectedBy.get(result);
  const problems = [
    ...keys.flatMap((key) => {
      const labelling = key === result ? name : setBy.get(key);
      return labelling === undefined
        ? []
        : [`spec.nodeSelector: ${key} is what DataDirectPath ${labelling} labels nodes with, it cannot be selected by`];
    }),
    ...(selecting === undefined
      ? []
      : [`spec.resourceName: the label ${result} is what the older DataDirectPath ${selecting} selects nodes by`]),
  ];
  if (problems.length > 0) return { name, generation, object, problem: problems.join('; ') };
  setBy.set(result, name);
  for (const key of keys) selectedBy.set(key, name);
  return policy;
}

export function selectsNode(policy: ValidPolicy, labels: Labels): boolean {
  return matches(policy.spec.nodeSelector, labels);
}

function readPolicy(object: PolicyObject): Policy {
  const { name, generation = 0 } = object.metadata;
  // The API server has checked all this by the CRD of its day, and filled in the defaults; that may be another CRD than ours.
  const { value, misfits } = fit(pathSpecShape, object.spec, { unknownFields: 'drop' });
  const spec = value as DataDirectPathSpec;
  const problems = misfits.length > 0 ? misfits.map(shapeProblem) : meaningProblems(spec);
  const read = { name, generation, object };
  return problems.length > 0 ? { ...read, problem: problems.join('; ') } : { ...read, spec };
}

function byAge(a: PolicyObject, b: PolicyObject): number {
  const [left, right] = [a.metadata, b.metadata];
  return compare(left.creationTimestamp ?? '', right.creationTimestamp ?? '') || compare(left.name, right.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function shapeProblem(misfit: Misfit): string {
  return sentence({ ...misfit, path: misfit.path === '' ? 'spec' : `spec.${misfit.path}` });
}

function meaningProblems(spec: DataDirectPathSpec): string[] {
  return [...selectorProblems(spec.nodeSelector, 'spec.nodeSelector'), ...environmentProblems(spec)];
}

function environmentProblems({ environment }: DataDirectPathSpec): string[] {
  const extra = Object.keys(environment.extra ?? {});
  const switches = Object.entries(VARIABLES) as [keyof typeof VARIABLES, readonly string[]][];
  const clashes = switches.flatMap(([by, ours]) =>
    environment[by] ? extra.filter((name) => ours.includes(name)).map((name) => ({ name, by })) : [],
  );
  return [
    ...clashes.map(
      ({ name, by }) => `spec.environment.extra.${name}: set by spec.environment.${by}; switch that off to set it here`,
    ),
    ...extra
      .filter((name) => name.startsWith(PATHS_VARIABLE_PREFIX))
      .map((name) => `spec.environment.extra.${name}: ${PATHS_VARIABLE_PREFIX}… always tells the container its paths`),
  ];
}
