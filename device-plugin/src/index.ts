// The face of the node agent, for who runs it elsewhere than main.ts does. Its program is main.ts.
export type { Agent } from './agent.ts';
export { createAgent, type Doors } from './create-agent.ts';
export type { NodeObject } from './node-object.ts';
export { SpecFile } from './spec-file.ts';
// What the kubelet is advised to take, for e2e/bench/placement.ts.
export { bystanders, gpuView, NOTHING_KNOWN } from './allocation/gpu-view.ts';
export { preferred } from './allocation/preferred.ts';
export type { ContainerDevices } from './kubelet/protocol.ts';
export type { Pool } from './pool.ts';
