// The Lease by which a node's agent says that it is there: the agent writes it, the operator reads it.

const PREFIX = 'data-direct-agent-';

export function heartbeatLease(node: string): string {
  return `${PREFIX}${node}`;
}

/** The node whose agent beats in this Lease, or undefined if it is another Lease. */
export function nodeOfHeartbeat(lease: string): string | undefined {
  return lease.startsWith(PREFIX) ? lease.slice(PREFIX.length) : undefined;
}
