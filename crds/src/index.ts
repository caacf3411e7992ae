// The face of the API contract without zod. The schemas are behind the subpath `@data-direct/crds/schema`.
export * from './reasons.ts';
export * from './selection.ts';
export * from './types.ts';
