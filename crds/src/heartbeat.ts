// The Lease by which a node's agent says that it is there: the agent writes it, the operator reads it. The chart's admission policy
// (templates/agent/admission.yaml) says the same rule in CEL.

const PREFIX = 'data-direct-agent-';
/** Names of objects are no longer; those of nodes may be as long. */
const LONGEST_NAME = 253;

/** A node's name that leaves no room for the prefix is the Lease's name as it is. */
export function heartbeatLease(node: string): string {
  return PREFIX.length + node.length > LONGEST_NAME ? node : `${PREFIX}${node}`;
}

/** The node whose agent beats in this Lease, or undefined if it is another Lease. */
export function nodeOfHeartbeat(lease: string): string | undefined {
  if (lease.startsWith(PREFIX)) return lease.slice(PREFIX.length);
  return PREFIX.length + lease.length > LONGEST_NAME ? lease : undefined;
}
