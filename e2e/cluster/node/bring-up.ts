// From nothing to a node that takes pods.

import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { clusterError } from '../errors.ts';
import { testImages } from '../images/test-images.ts';
import { oldImage } from '../toolchain/rdma-core.ts';
import type { Toolchain } from '../toolchain/toolchain.ts';
import { makeCgroups } from './cgroups.ts';
import { ctrImport, runClient } from './clients.ts';
import { apiServerUrl, components, componentUsers, configFiles, kubeconfigOf } from './components.ts';
import { startComponents } from './control.ts';
import { layout, nodeName } from './layout.ts';
import { makeMountNamespace } from './mount-namespace.ts';
import { makeNamespace } from './namespace.ts';
import { certificates, kubeconfig, makePki } from './pki.ts';
import { currentBoot, writeState } from './state.ts';
import { readSysctls } from './sysctls.ts';

const readyTimeoutMs = 90_000;

/** Pods may be made only after all of these: each pod mounts the last two. */
const awaited: readonly (readonly string[])[] = [
  ['--for=create', `node/${nodeName}`],
  ['--for=condition=Ready', `node/${nodeName}`],
  ['--for=create', 'serviceaccount/default'],
  ['--for=create', 'configmap/kube-root-ca.crt'],
];

/** Two clusters with the same fingerprint differ in nothing that was configured. */
export function fingerprintOf(toolchain: Toolchain): string {
  const parts = [toolchain, components(toolchain), configFiles(), certificates, layout];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

export async function bringUp(toolchain: Toolchain, signal?: AbortSignal): Promise<void> {
  await requireFreeKubeletRoot();
  await writeState({
    bootId: await currentBoot(),
    fingerprint: fingerprintOf(toolchain),
    toolchain,
    sysctls: await readSysctls(),
    processes: {},
  });
  const directories = [layout.logs, layout.runtime, layout.clientHome];
  await Promise.all(directories.map((directory) => mkdir(directory, { recursive: true })));
  await Promise.all([
    makeNamespace(signal),
    makeMountNamespace(toolchain, signal),
    makeCgroups(),
    writeConfiguration(signal),
  ]);
  await startComponents(['etcd', 'containerd'], signal);
  await Promise.all([startComponents(['kube-apiserver'], signal), importTestImages(toolchain, signal)]);
  await startComponents(['kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubelet'], signal);
  await waitForNode(toolchain, signal);
}

async function requireFreeKubeletRoot(): Promise<void> {
  const path = layout.kubeletRoot;
  const entries = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (entries.length > 0) throw clusterError('KUBELET_ROOT_IN_USE', { path });
}

async function writeConfiguration(signal?: AbortSignal): Promise<void> {
  await makePki(signal);
  const users = [
    ...componentUsers.map((user) => [user, kubeconfigOf(user)] as const),
    ['admin', layout.kubeconfig],
  ] as const;
  const files = Object.entries(configFiles());
  for (const [user, file] of users) files.push([file, await kubeconfig(user, apiServerUrl)]);
  for (const [file, content] of files) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { mode: 0o600 });
  }
}

async function importTestImages(toolchain: Toolchain, signal?: AbortSignal): Promise<void> {
  for (const { archive } of testImages) await ctrImport(toolchain, join(toolchain.images, archive), signal);
  await ctrImport(toolchain, join(toolchain['rdma-core'], oldImage.archive), signal);
}

async function waitForNode(toolchain: Toolchain, signal?: AbortSignal): Promise<void> {
  for (const wait of awaited) {
    const args = ['wait', '--namespace=default', ...wait, `--timeout=${readyTimeoutMs / 1000}s`];
    await runClient(toolchain, 'kubectl', args, { timeoutMs: readyTimeoutMs + 10_000, signal });
  }
}
