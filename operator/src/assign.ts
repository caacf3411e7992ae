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
    const holder = resources.find(({ name }) => name === entry.name);
    if (!holder) resources.push(entry);
    else
      conflicts.push({
        policy: policy.name,
        holder: holder.policy,
        what: `resource name ${entry.name} on node ${node.name}`,
      });
  }
  return { policies: applying, resources, conflicts: [...conflicts, ...nicConflicts(resources, node)] };
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
