// The face of the node agent, for who runs it elsewhere than main.ts does. Its program is main.ts.
export type { Agent } from './agent.ts';
export { createAgent, type Doors } from './create-agent.ts';
export type { NodeObject } from './node-object.ts';
export { SpecFile } from './spec-file.ts';
