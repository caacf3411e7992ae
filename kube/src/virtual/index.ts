// The face of the virtual cluster, for tests: `@data-direct/kube/virtual`. Nothing that ships imports it.
export { type Claim, contract, contractCrd, contractResource } from './contract.ts';
export { ManualClock, until } from './manual-clock.ts';
export { Refusal, type Refused } from './refusal.ts';
export type { Received } from './request.ts';
export type { Fault, FaultMatch, VirtualServer, VirtualServerOptions } from './server.ts';
export { startVirtualServer } from './server.ts';
export type { ServedResource, Store, StoredChange, Writer } from './store.ts';
export type { StreamFault } from './watch-stream.ts';
