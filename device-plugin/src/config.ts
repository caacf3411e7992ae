// The agent's configuration: one JSON file and a few variables of the pod. Read once, at start; what does not fit stops the start.
import { join } from 'node:path';

import type { Schema } from '@data-direct/crds';
import { COMMON_FIELDS, type CommonConfig, ProcessError, readConfiguration, readVariables } from '@data-direct/process';

export interface Config extends CommonConfig {
  /** `device-plugins/` and `pod-resources/` are below it. */
  readonly kubeletDir: string;
  /** Keeps the last spec, so that the agent starts without an API server, what was answered to the kubelet, and links to device nodes. */
  readonly stateDir: string;
  /** Where the node's own trees are seen from inside the container. */
  readonly hostRoots: { readonly sysfs: string; readonly proc: string; readonly dev: string };
  /** Where CDI files of the paths are written; absent: nowhere, and containers are given device nodes alone. */
  readonly cdiDir?: string;
  /** Mounts the node's rdma-core into containers with paths, by CDI; absent: containers use their own. */
  readonly rdmaCore?: {
    /** Where the node's /usr is seen, below this. */
    readonly root: string;
    /** The oldest glibc of images that are given it. */
    readonly oldestGlibc: string;
  };
  readonly rescanSeconds: number;
  /** DataDirectNode.spec from a file, for a site without the operator. No API server is contacted then. */
  readonly specFile?: string;
  /** A virtual tray instead of this node's hardware. */
  readonly virtualHost?: VirtualHostConfig;
  /** Absent with `specFile`. */
  readonly cluster?: ClusterConfig;
}

export interface VirtualHostConfig {
  /** Name of a fixture that is brought along, or a file. */
  readonly fixture: string;
  /** Where device nodes are made: the same path in the agent's container and on the node. */
  readonly deviceDir: string;
  /** Where `data-direct virtual …` changes the running tray. */
  readonly controlSocket: string;
}

/** Who this agent is in its cluster. */
interface ClusterConfig {
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
}

const text = { type: 'string', minLength: 1 } as const;
const absolutePath = { type: 'string', pattern: '^/' } as const;

const schema: Schema = {
  type: 'object',
  properties: {
    kubeletDir: { ...absolutePath, default: '/var/lib/kubelet' },
    stateDir: { ...absolutePath, default: '/var/lib/data-direct' },
    hostRoots: {
      type: 'object',
      default: {},
      properties: {
        sysfs: { ...absolutePath, default: '/sys' },
        proc: { ...absolutePath, default: '/proc/1' },
        dev: { ...absolutePath, default: '/dev' },
      },
    },
    ...COMMON_FIELDS,
    cdiDir: absolutePath,
    rdmaCore: {
      type: 'object',
      properties: {
        root: { ...absolutePath, default: '/' },
        oldestGlibc: { type: 'string', pattern: '^[0-9]+\\.[0-9]+$', default: '2.34' },
      },
    },
    rescanSeconds: { type: 'integer', minimum: 1, maximum: 3600, default: 300 },
    specFile: absolutePath,
    virtualHost: {
      type: 'object',
      required: ['fixture'],
      properties: {
        fixture: text,
        deviceDir: { ...absolutePath, default: '/var/lib/data-direct-virtual/dev' },
        controlSocket: { ...absolutePath, default: '/run/data-direct/virtual.sock' },
      },
    },
  },
};

/** `file` undefined: the defaults. */
export function readConfig(file: string | undefined, environment: NodeJS.ProcessEnv): Config {
  const config = readConfiguration(schema, file) as Config;
  if (config.specFile !== undefined && config.http.metricsAccess === 'TokenReview')
    throw new ProcessError(
      'CONFIG_INVALID',
      `${file}: http.metricsAccess must be Open with specFile, for no API server is asked then`,
      { file },
    );
  if (config.rdmaCore !== undefined && config.cdiDir === undefined)
    throw new ProcessError('CONFIG_INVALID', `${file}: rdmaCore needs cdiDir, for it is mounted by CDI`, { file });
  return config.specFile === undefined ? { ...config, cluster: clusterOf(environment) } : config;
}

function clusterOf(environment: NodeJS.ProcessEnv): ClusterConfig {
  const names = ['NODE_NAME', 'POD_NAMESPACE', 'POD_NAME'] as const;
  const { NODE_NAME, POD_NAMESPACE, POD_NAME } = readVariables(
    environment,
    names,
    ', or specFile in the configuration',
  );
  return { node: NODE_NAME, namespace: POD_NAMESPACE, pod: POD_NAME };
}

/** Paths below the kubelet's directory. */
export function kubeletPaths(kubeletDir: string): { plugins: string; podResources: string } {
  return { plugins: join(kubeletDir, 'device-plugins'), podResources: join(kubeletDir, 'pod-resources/kubelet.sock') };
}
