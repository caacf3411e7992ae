// The API as TypeScript types, inferred from schema.ts and erased at build time: importing this file costs nothing.
import type { z } from 'zod';

import type * as schema from './schema.ts';

export const GROUP = 'datadirect.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

export type NicSelector = z.output<typeof schema.nicSelectorSchema>;
export type DataDirectPathSpec = z.output<typeof schema.dataDirectPathSpecSchema>;
/** As a person writes it: everything with a default may be left out. */
export type DataDirectPathSpecInput = z.input<typeof schema.dataDirectPathSpecSchema>;
export type DataDirectPathStatus = z.output<typeof schema.dataDirectPathStatusSchema>;
export type NodeResource = z.output<typeof schema.nodeResourceSchema>;
export type DataDirectNodeSpec = z.output<typeof schema.dataDirectNodeSpecSchema>;
export type NodePath = z.output<typeof schema.nodePathSchema>;
export type DataDirectNodeStatus = z.output<typeof schema.dataDirectNodeStatusSchema>;
export type ContainerStatus = NonNullable<DataDirectNodeStatus['containers']>[number];
export type Condition = NonNullable<DataDirectNodeStatus['conditions']>[number];

export interface ObjectMeta {
  name: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface DataDirectPath {
  apiVersion: typeof API_VERSION;
  kind: 'DataDirectPath';
  metadata: ObjectMeta;
  spec: DataDirectPathSpec;
  status?: DataDirectPathStatus;
}

export interface DataDirectNode {
  apiVersion: typeof API_VERSION;
  kind: 'DataDirectNode';
  metadata: ObjectMeta;
  spec: DataDirectNodeSpec;
  status?: DataDirectNodeStatus;
}

/** Condition types. Ready's reason is the phase; path reasons are listed in status.reasons and in the message. */
export const CONDITIONS = {
  Accepted: 'Accepted',
  Ready: 'Ready',
  Progressing: 'Progressing',
  Registered: 'Registered',
} as const;

/** Label that the operator puts on nodes: `datadirect.dev/<resourceName>` = ready | degraded | none. */
export function nodeLabel(resource: string): string {
  return `${GROUP}/${resource}`;
}

/** The extended resource name that pods request. */
export function extendedResource(resource: string): string {
  return `${GROUP}/${resource}`;
}
