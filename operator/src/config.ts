// The operator's configuration: one JSON file and the pod's own names. Read once, at start; what does not fit stops the start.
import type { Schema } from '@data-direct/crds';
import { COMMON_FIELDS, type CommonConfig, readConfiguration, readVariables } from '@data-direct/process';

export interface Config extends CommonConfig {
  /** The Lease by which one replica leads. */
  readonly lease: { readonly name: string };
  /** The operator's own Deployment, which `retire` scales to 0. */
  readonly deployment: { readonly name: string };
  /** Time between two beats of an agent, as the agents have it. */
  readonly heartbeatSeconds: number;
}

const objectName = {
  type: 'string',
  pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$',
  default: 'data-direct-operator',
} as const;

const schema: Schema = {
  type: 'object',
  properties: {
    ...COMMON_FIELDS,
    lease: { type: 'object', default: {}, properties: { name: objectName } },
    deployment: { type: 'object', default: {}, properties: { name: objectName } },
    heartbeatSeconds: { type: 'integer', minimum: 1, maximum: 86_400, default: 300 },
  },
};

/** Every field may be left out; without a file all of them are. */
export function readConfig(file: string | undefined): Config {
  return readConfiguration(schema, file) as Config;
}

/** Names that the pod tells its process; the chart sets them by fieldRef. */
export function readPod(environment: NodeJS.ProcessEnv): { namespace: string; name: string } {
  const { POD_NAMESPACE, POD_NAME } = readVariables(environment, ['POD_NAMESPACE', 'POD_NAME'] as const);
  return { namespace: POD_NAMESPACE, name: POD_NAME };
}
