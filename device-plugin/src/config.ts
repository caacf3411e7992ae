// The agent's configuration: one JSON file and a few variables of the pod. Read once, at start; what does not fit stops the start.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { AgentError } from './errors.ts';
import { fit, type Schema, sentence } from './shape.ts';

export interface Config {
  /** `device-plugins/` and `pod-resources/` are below it. */
  readonly kubeletDir: string;
  /** Keeps the last spec, so that the agent starts without an API server. */
  readonly stateDir: string;
  /** Where the node's own trees are seen from inside the container. */
  readonly hostRoots: { readonly sysfs: string; readonly proc: string; readonly dev: string };
  readonly http: { readonly address: string; readonly port: number };
  readonly rescanSeconds: number;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
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
    http: {
      type: 'object',
      default: {},
      properties: {
        address: { ...text, default: '0.0.0.0' },
        port: { type: 'integer', minimum: 0, maximum: 65535, default: 9464 },
      },
    },
    rescanSeconds: { type: 'integer', minimum: 1, maximum: 3600, default: 30 },
    logLevel: { type: 'string', enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], default: 'info' },
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

/** `file` undefined: the defaults. Throws CONFIG_INVALID, which names the file, the field and what is expected there. */
export function readConfig(file: string | undefined, environment: NodeJS.ProcessEnv): Config {
  const config = file === undefined ? fitted({}, 'the defaults') : fitted(parsed(file), file);
  return config.specFile === undefined ? { ...config, cluster: clusterOf(environment) } : config;
}

/** `--config FILE` of the command line. */
export function configFileOf(args: readonly string[]): string | undefined {
  const [option, file, ...rest] = args;
  if (option === undefined) return undefined;
  if (option !== '--config' || file === undefined || rest.length > 0)
    throw new AgentError('CONFIG_INVALID', `unknown arguments ${args.join(' ')}; expected --config FILE`, { args });
  return file;
}

/** The JSON in a file that a person wrote. */
export function parsed(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new AgentError('CONFIG_INVALID', `${file} cannot be read as JSON`, { file }, error);
  }
}

function fitted(document: unknown, file: string): Config {
  const { value, misfits } = fit(schema, document, { unknownFields: 'refuse' });
  if (misfits.length > 0)
    throw new AgentError('CONFIG_INVALID', `${file}: ${misfits.map(sentence).join('; ')}`, { file, misfits });
  return value as Config;
}

function clusterOf(environment: NodeJS.ProcessEnv): ClusterConfig {
  const { NODE_NAME: node, POD_NAMESPACE: namespace, POD_NAME: pod } = environment;
  if (node && namespace && pod) return { node, namespace, pod };
  const missing = ['NODE_NAME', 'POD_NAMESPACE', 'POD_NAME'].filter((name) => !environment[name]);
  throw new AgentError(
    'CONFIG_INVALID',
    `environment ${missing.join(' and ')} must be set from the pod's fields, or specFile in the configuration`,
    { missing },
  );
}

/** Paths below the kubelet's directory. */
export function kubeletPaths(kubeletDir: string): { plugins: string; podResources: string } {
  return { plugins: join(kubeletDir, 'device-plugins'), podResources: join(kubeletDir, 'pod-resources/kubelet.sock') };
}
