// Where an API server serves our kinds.
import { API_VERSION } from './types.ts';

export const DATA_DIRECT_PATHS = {
  apiVersion: API_VERSION,
  kind: 'DataDirectPath',
  plural: 'datadirectpaths',
  namespaced: false,
} as const;

export const DATA_DIRECT_NODES = {
  apiVersion: API_VERSION,
  kind: 'DataDirectNode',
  plural: 'datadirectnodes',
  namespaced: false,
} as const;
