import { expect, test } from 'vitest';

import { heartbeatLease, nodeOfHeartbeat } from './heartbeat.ts';

test('heartbeats are told from other Leases by their name', () => {
  expect(nodeOfHeartbeat(heartbeatLease('node-a.example'))).toBe('node-a.example');
  expect(nodeOfHeartbeat('data-direct-operator')).toBeUndefined();
});
