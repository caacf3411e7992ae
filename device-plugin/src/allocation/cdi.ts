// The paths of a resource as CDI devices: a container runtime finds by name what it shall add to a container. Pure; files are
// cdi-directory.ts's, and why both these and plain device nodes are given is docs/adr/0010.
import { extendedResource, type NodeResource } from '@data-direct/crds';
import type { Path } from '@data-direct/driver-core';

import type { Pool } from '../pool.ts';
import { deviceSpecs } from './device-specs.ts';

/** The lowest that suffices: names that begin with a digit, and hostPath, need 0.5.0 (tags.cncf.io/container-device-interface). */
const CDI_VERSION = '0.5.0';

interface ContainerEdits {
  readonly deviceNodes: readonly { readonly path: string; readonly hostPath: string; readonly permissions: string }[];
}

export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly options: readonly string[];
}

export interface CdiSpec {
  readonly cdiVersion: string;
  /** As the extended resource is called. */
  readonly kind: string;
  readonly devices: readonly { readonly name: string; readonly containerEdits: ContainerEdits }[];
  /** For a container with any of the devices, once. */
  readonly containerEdits?: { readonly mounts: readonly Mount[] };
}

export function cdiSpec({ resource, paths }: Pool, deviceDir: string): CdiSpec {
  const devices = paths.flatMap((path) => {
    const containerEdits = edits(resource, path, deviceDir);
    return containerEdits.deviceNodes.length > 0 ? [{ name: path.id, containerEdits }] : [];
  });
  return { cdiVersion: CDI_VERSION, kind: extendedResource(resource.name), devices };
}

/** Such as datadirect.dev/path=0000:03:00.0. */
export function cdiName(kind: string, path: string): string {
  return `${kind}=${path}`;
}

function edits(resource: NodeResource, path: Path, deviceDir: string): ContainerEdits {
  const nodes =
    path.nic.uverbs === undefined ? [] : deviceSpecs(resource, [path], (name) => `${deviceDir}/infiniband/${name}`);
  return { deviceNodes: nodes.map(({ containerPath: inside, ...rest }) => ({ path: inside, ...rest })) };
}
