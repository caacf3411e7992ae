// The face of the node agent, for those who run it elsewhere than main.ts does (demo, tests).
export type { Assignment, Device, Pool } from './pool.ts';
export { assign } from './pool.ts';
