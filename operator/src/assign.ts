// Which policy applies on a node: policies → the spec of its DataDirectNode, and who is in whose way. Pure.
import { type NodeResource, selectsNic } from '@data-direct/crds';

import type { Labels } from './label-selector.ts';
import type { NodeObject } from './objects.ts';
import { type Policy, type ValidPolicy, selectsNode } from './policy.ts';

export interface NodeFacts {
  readonly name: string;
  readonly labels: Labels;
  /** The node's DataDirectNode, if there is one. */
  readonly object: NodeObject | undefined;
}

/** `policy` does not get `what`, because the older `holder` has it. */
interface Conflict {
  readonly policy: string;
  readonly holder: string;
  readonly what: string;
}

export interface Assignment {
  /** Names of the policies that apply here. */
  readonly policies: readonly string[];
  /** Oldest policy first: an earlier entry wins a NIC that a later one selects too. */
  readonly resources: NodeResource[];
  readonly conflicts: readonly Conflict[];
}

/** Give `policies` oldest first, as readPolicies does. */
export function assign(policies: readonly Policy[], node: NodeFacts): Assignment {
  const resources: NodeResource[] = [];
  const conflicts: Conflict[] = [];
  const applying: string[] = [];
  for (const policy of policies) {
    const entry = entryFor(policy, node);
    if (!entry) continue;
    applying.push(policy.name);
    const taken = takenPlace(resources, entry.name);
    if (taken) conflicts.push({ policy: policy.name, ...taken, what: `${taken.what} on node ${node.name}` });
    else resources.push(entry);
  }
  return { policies: applying, resources, conflicts: [...conflicts, ...nicConflicts(resources, node)] };
}

/** More are refused by the API server (crds/src/schema.ts), and all that the node has with them. */
const RESOURCES_LIMIT = 64;

/** What another resource of this name would have to have, and who has it. */
function takenPlace(resources: readonly NodeResource[], name: string): Omit<Conflict, 'policy'> | undefined {
  const namesake = resources.find((resource) => resource.name === name);
  if (namesake) return { holder: namesake.policy, what: `resource name ${name}` };
  const last = resources[RESOURCES_LIMIT - 1];
  return last && { holder: last.policy, what: `the last of ${RESOURCES_LIMIT} resources` };
}

function entryFor(policy: Policy, { name, labels, object }: NodeFacts): NodeResource | undefined {
  // A slip in an edit must not take the devices of a running cluster away: what was accepted last goes on.
  if (policy.problem !== undefined) return object?.spec.resources.find((entry) => entry.policy === policy.name);
  return selectsNode(policy, labels) ? compile(policy, name) : undefined;
}

/** Field by field: what a newer API server lets through, the schema of DataDirectNode might refuse. */
function compile({ name, generation, spec }: ValidPolicy, node: string): NodeResource {
  const exclude = (spec.exclude ?? []).filter((entry) => entry.node === node);
  return {
    name: spec.resourceName,
    policy: name,
    policyGeneration: generation,
    nics: spec.nics,
    ...(exclude.length > 0 && { exclude: exclude.map(({ nic, reason }) => ({ nic, reason })) }),
    dataDirect: spec.dataDirect,
    whenGpuUnknown: spec.whenGpuUnknown,
    sharing: spec.sharing,
    devices: spec.devices,
    environment: spec.environment,
    topologyHints: spec.topologyHints,
    verification: spec.verification,
  };
}

/** Known only once the node's agent has told which NICs there are. */
function nicConflicts(resources: readonly NodeResource[], { name, object }: NodeFacts): Conflict[] {
  if (resources.length < 2) return [];
  return (object?.status?.paths ?? []).flatMap((path) => {
    const [holder, ...later] = resources.filter((entry) => selectsNic(entry.nics, path));
    const what = `NIC ${path.name === path.id ? path.id : `${path.name} (${path.id})`} on node ${name}`;
    return holder ? later.map((entry) => ({ policy: entry.policy, holder: holder.policy, what })) : [];
  });
}
