// `helm template` of our chart, as objects.
import { join } from 'node:path';

import type {
  KubernetesObject,
  V1ClusterRole,
  V1ConfigMap,
  V1CustomResourceDefinition,
  V1DaemonSet,
  V1Deployment,
  V1Job,
  V1Role,
  V1ValidatingAdmissionPolicy,
} from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';

import { run } from '../rig/run.ts';
import { ensureClients } from '../cluster/toolchain/toolchain.ts';

export const chartDirectory = join(import.meta.dirname, '../../charts/data-direct');
export const namespace = 'data-direct';

export interface RenderOptions {
  readonly release?: string;
  readonly chart?: string;
  readonly arguments?: readonly string[];
}

interface Kinds {
  ClusterRole: V1ClusterRole;
  ConfigMap: V1ConfigMap;
  CustomResourceDefinition: V1CustomResourceDefinition;
  DaemonSet: V1DaemonSet;
  Deployment: V1Deployment;
  Job: V1Job;
  PodMonitor: KubernetesObject;
  Role: V1Role;
  ValidatingAdmissionPolicy: V1ValidatingAdmissionPolicy;
}

export type Values = Readonly<Record<string, unknown>>;

let clients: Promise<string> | undefined;

export async function helm(args: readonly string[], input = ''): Promise<string> {
  clients ??= ensureClients((line) => console.log(line));
  return (await run(join(await clients, 'helm'), args, { input })).stdout;
}

export async function render(values: Values = {}, options: RenderOptions = {}): Promise<Rendered> {
  const { release = 'data-direct', chart = chartDirectory, arguments: more = [] } = options;
  const args = ['template', release, chart, '--namespace', namespace, '--values', '-', ...more];
  const text = await helm(args, JSON.stringify(values));
  const documents = parseAllDocuments(text) as { toJS(): unknown }[];
  return new Rendered(documents.map((document) => document.toJS() as KubernetesObject).filter(Boolean));
}

export class Rendered {
  readonly objects: readonly KubernetesObject[];
  constructor(objects: readonly KubernetesObject[]) {
    this.objects = objects;
  }

  /** The one object of that kind whose name ends so. */
  the<K extends keyof Kinds>(kind: K, suffix: string): Kinds[K] {
    const [found, another] = this.all(kind).filter(({ metadata }) => metadata?.name?.endsWith(suffix));
    if (!found || another) throw new Error(`not one ${kind} has a name that ends in ${suffix}`);
    return found;
  }

  all<K extends keyof Kinds>(kind: K): Kinds[K][] {
    return this.objects.filter((object): object is Kinds[K] => object.kind === kind);
  }
}
