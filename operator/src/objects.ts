// The kinds of object the operator deals with, and what it keeps of each in its caches. What is in them is decided elsewhere.
import { DATA_DIRECT_NODES, DATA_DIRECT_PATHS, type DataDirectNode, type DataDirectPath } from '@data-direct/crds';
import type { KubeObject, Resource } from '@data-direct/kube';

export const FIELD_MANAGER = 'data-direct-operator';

export type NodeObject = KubeObject & DataDirectNode;
export type PolicyObject = KubeObject & DataDirectPath;

export const dataDirectPaths: Resource<PolicyObject> = DATA_DIRECT_PATHS;
export const dataDirectNodes: Resource<NodeObject> = DATA_DIRECT_NODES;

export const nodes: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

/** Of a Node only name, uid, version and labels are kept: its status is most of it and changes all the time. */
export function trimNode({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, uid, resourceVersion, labels } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }), ...(labels && { labels }) },
  };
}

/** An older or newer schema may have let through what our types rule out: such entries are left out, so that nobody trips over them. */
export function trimDataDirectNode(object: NodeObject): NodeObject {
  const { spec, status } = object as { spec?: Partial<NodeObject['spec']>; status?: NodeObject['status'] };
  const { paths, resources, conditions, ...rest } = status ?? {};
  return {
    ...object,
    spec: { resources: records(spec?.resources) },
    ...(status && {
      status: {
        ...rest,
        paths: records(paths).filter((path) => isRecord(path.nic)),
        resources: records(resources),
        conditions: records(conditions),
      },
    }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function records<T>(list: readonly T[] | undefined): T[] {
  return Array.isArray(list) ? list.filter((item: T) => isRecord(item)) : [];
}
