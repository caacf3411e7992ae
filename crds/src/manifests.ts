// The CustomResourceDefinitions, made from schema.ts. scripts/generate-crds.ts writes them to crds/manifests and into the chart.
import type { z } from 'zod';

import { dataDirectNodeSpecSchema, dataDirectNodeStatusSchema } from './schema.ts';
import { dataDirectPathSpecSchema, dataDirectPathStatusSchema } from './schema.ts';
import { structuralFaults } from './structural-rules.ts';
import { type StructuralSchema, toStructuralSchema } from './structural.ts';
import { GROUP, VERSION } from './types.ts';

interface Names {
  kind: string;
  listKind: string;
  plural: string;
  singular: string;
  shortNames: string[];
  categories: string[];
}

interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'date';
  jsonPath: string;
  description: string;
  /** 1: only with -o wide. */
  priority?: 1;
}

export interface CustomResourceDefinition {
  apiVersion: 'apiextensions.k8s.io/v1';
  kind: 'CustomResourceDefinition';
  metadata: { name: string };
  spec: {
    group: string;
    names: Names;
    scope: 'Cluster';
    versions: {
      name: string;
      served: true;
      storage: true;
      subresources: { status: Record<string, never> };
      additionalPrinterColumns: PrinterColumn[];
      schema: { openAPIV3Schema: Omit<StructuralSchema, 'properties'> & { properties: Record<string, unknown> } };
    }[];
  };
}

/** What differs from kind to kind. */
export interface Definition {
  kind: string;
  shortNames: string[];
  description: string;
  spec: z.ZodType;
  status: z.ZodType;
  columns: PrinterColumn[];
}

const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'time since the object was created',
};

function conditionField(type: string, field: 'status' | 'reason' | 'message'): string {
  return `.status.conditions[?(@.type=="${type}")].${field}`;
}

export const DEFINITIONS: readonly Definition[] = [
  {
    kind: 'DataDirectPath',
    shortNames: ['ddp', 'ddps'],
    description:
      'Which NICs of which nodes form a resource that pods can request, how they are handed out, and how they are.',
    spec: dataDirectPathSpecSchema.describe('what the administrator wants'),
    status: dataDirectPathStatusSchema.describe('what the operator sees'),
    columns: [
      {
        name: 'Resource',
        type: 'string',
        jsonPath: '.spec.resourceName',
        description: 'resource name after datadirect.dev/',
      },
      {
        name: 'Data Direct',
        type: 'string',
        jsonPath: '.spec.dataDirect',
        description: 'Required, Preferred or Disabled',
      },
      { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes.selected', description: 'nodes selected' },
      {
        name: 'Ready',
        type: 'integer',
        jsonPath: '.status.nodes.ready',
        description: 'nodes all of whose paths are Ready',
      },
      { name: 'Paths', type: 'integer', jsonPath: '.status.paths.total', description: 'paths on those nodes' },
      {
        name: 'Reason',
        type: 'string',
        jsonPath: conditionField('Ready', 'reason'),
        description: 'reason of the Ready condition',
      },
      age,
      {
        name: 'Paths ready',
        type: 'integer',
        jsonPath: '.status.paths.ready',
        description: 'paths that are Ready',
        priority: 1,
      },
      {
        name: 'Allocatable',
        type: 'integer',
        jsonPath: '.status.paths.allocatable',
        description: 'devices that pods can be given',
        priority: 1,
      },
      {
        name: 'Accepted',
        type: 'string',
        jsonPath: conditionField('Accepted', 'reason'),
        description: 'reason of the Accepted condition',
        priority: 1,
      },
      {
        name: 'Message',
        type: 'string',
        jsonPath: conditionField('Ready', 'message'),
        description: 'message of the Ready condition',
        priority: 1,
      },
    ],
  },
  {
    kind: 'DataDirectNode',
    shortNames: ['ddn'],
    description:
      'One node: the resources that the operator compiled for it, and the paths that its agent found. Named like the node.',
    // With a default, because a server-side apply that takes the last resource away leaves no spec behind (seen on 1.36.3).
    spec: dataDirectNodeSpecSchema.prefault({}).describe('compiled by the operator; not for people to edit'),
    status: dataDirectNodeStatusSchema.describe('what the node’s agent sees'),
    columns: [
      {
        name: 'Paths',
        type: 'integer',
        jsonPath: '.status.pathCounts.total',
        description: 'paths that a resource holds',
      },
      { name: 'Ready', type: 'integer', jsonPath: '.status.pathCounts.ready', description: 'paths that are Ready' },
      {
        name: 'Reason',
        type: 'string',
        jsonPath: conditionField('Ready', 'reason'),
        description: 'reason of the Ready condition',
      },
      { name: 'Agent', type: 'string', jsonPath: '.status.agentVersion', description: 'version of the agent' },
      age,
      { name: 'Kernel', type: 'string', jsonPath: '.status.kernel', description: 'kernel release', priority: 1 },
      {
        name: 'Registered',
        type: 'string',
        jsonPath: conditionField('Registered', 'status'),
        description: 'whether the kubelet knows the resources',
        priority: 1,
      },
      {
        name: 'Message',
        type: 'string',
        jsonPath: conditionField('Ready', 'message'),
        description: 'message of the Ready condition',
        priority: 1,
      },
    ],
  },
];

export function customResourceDefinition(definition: Definition): CustomResourceDefinition {
  const { kind, shortNames, description, columns } = definition;
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  const spec = toStructuralSchema(definition.spec);
  const status = toStructuralSchema(definition.status);
  const faults = [...structuralFaults(spec, 'spec'), ...structuralFaults(status, 'status')];
  if (faults.length > 0) throw new Error(`schema of ${kind}: ${faults.join('; ')}`);
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Cluster',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ['datadirect'] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description,
              ...(spec.default === undefined && { required: ['spec'] }),
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec,
                status,
              },
            },
          },
        },
      ],
    },
  };
}
