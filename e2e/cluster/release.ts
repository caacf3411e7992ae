// Our Helm release in the rig's cluster: the image from this checkout, the chart from this checkout, a virtual tray in place of hardware.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Cluster } from './cluster.ts';
import { run } from '../rig/run.ts';

const checkout = join(import.meta.dirname, '../..');
export const chartDirectory = join(checkout, 'charts/data-direct');
const namespace = 'data-direct';
const release = 'data-direct';
const waiting = ['--wait', '--timeout', '3m'] as const;
/** Longer than Helm's own, which says what it waited for. */
const helmTimeoutMs = 200_000;

/** The chart's hostPath directories of its own. */
export const nodeDirectories = ['/var/lib/data-direct', '/var/lib/data-direct-virtual'] as const;

export interface Image {
  /** OCI archive for this machine's architecture. */
  readonly archive: string;
  readonly repository: string;
  readonly tag: string;
}

const image: Image = {
  archive: join(checkout, 'build/image/data-direct-amd64.oci.tar'),
  repository: 'localhost/data-direct',
  tag: '0.1.0',
};

/** `make image`, so that what is tested is what is shipped. */
export async function buildImage(): Promise<Image> {
  await run('make', ['--no-print-directory', 'image'], { cwd: checkout, timeoutMs: 900_000 });
  return image;
}

export interface ReleaseOptions {
  readonly chart?: string;
  /** Further values, on top of the image and the virtual tray. */
  readonly values?: Readonly<Record<string, string | number | boolean>>;
}

/** `helm upgrade --install --wait`, after the namespace is labelled as the README says. */
export async function installRelease(cluster: Cluster, options: ReleaseOptions = {}): Promise<void> {
  const manifest = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
  };
  await cluster.kubectl(['apply', '--filename', '-'], { input: JSON.stringify(manifest) });
  const values = {
    'image.repository': image.repository,
    'image.tag': image.tag,
    'image.pullPolicy': 'Never',
    'virtualHost.fixture': 'gb300-tray',
    // A port that goes down makes no uevent: the rescan finds it.
    'agent.rescanSeconds': 2,
    ...options.values,
  };
  await cluster.helm(
    [
      'upgrade',
      '--install',
      release,
      options.chart ?? chartDirectory,
      '--namespace',
      namespace,
      ...Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`]),
      ...waiting,
    ],
    { timeoutMs: helmTimeoutMs },
  );
}

export async function uninstallRelease(cluster: Cluster): Promise<void> {
  await cluster.helm(['uninstall', release, '--namespace', namespace, ...waiting], { timeoutMs: helmTimeoutMs });
}

/** What a release that was never uninstalled leaves on the node: for a fresh node it has to go. */
export async function removeNodeState(): Promise<void> {
  for (const directory of nodeDirectories) await rm(directory, { recursive: true, force: true });
}
