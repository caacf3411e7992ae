import { expect, test } from 'vitest';

import { heartbeatLease, nodeOfHeartbeat } from './heartbeat.ts';

test('heartbeats are told from other Leases by their name', () => {
  expect(nodeOfHeartbeat(heartbeatLease('node-a.example'))).toBe('node-a.example');
  expect(nodeOfHeartbeat('data-direct-operator')).toBeUndefined();
});

test.each([1, 235, 236, 253])(
  'a node whose name has %i characters beats in a Lease that Kubernetes takes',
  (length) => {
    const node = 'n'.repeat(length);
    expect(heartbeatLease(node).length).toBeLessThanOrEqual(253);
    expect(nodeOfHeartbeat(heartbeatLease(node))).toBe(node);
  },
);
