// The face of the API contract without zod. The schemas are behind the subpath `@data-direct/crds/schema`.
export * from './generated/shapes.ts';
export * from './heartbeat.ts';
export * from './reasons.ts';
export * from './resources.ts';
export * from './selection.ts';
export * from './shape.ts';
export * from './shown.ts';
export * from './types.ts';
export * from './variables.ts';
