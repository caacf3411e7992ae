// What the demo plays on: a virtual node, the real agent on it, and a kubelet stand-in that speaks the real protocol. They meet only
// over unix sockets, in a directory that goes when the demo ends.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { extendedResource, type NodePath } from '@data-direct/crds';
import { createAgent, SpecFile } from '@data-direct/device-plugin';
import { VirtualKubelet } from '@data-direct/device-plugin/virtual';
import { createVirtualHost, loadFixture, requestChange, serveControl } from '@data-direct/driver-core';
import { createLog } from '@data-direct/process';

export const RESOURCE = extendedResource('path');

export interface World {
  readonly kubelet: VirtualKubelet;
  /** Paths of the resource, as the agent reports them. */
  readonly paths: () => readonly NodePath[];
  /** Every path of the node. */
  readonly allPaths: () => readonly NodePath[];
  /** Edits the policy, as the operator would hand it to this node. */
  readonly policy: (fields: object) => void;
  /** What `data-direct virtual …` does: asks the running node to change, over its control socket. */
  readonly virtual: (...words: string[]) => Promise<void>;
  /** Resolves when the condition holds; false after ten seconds. */
  readonly until: (holds: () => boolean) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

export async function createWorld(fixture: string): Promise<World> {
  const host = createVirtualHost(await loadFixture(fixture));
  const directory = mkdtempSync(join(tmpdir(), 'data-direct-demo-'));
  const control = await serveControl(host, join(directory, 'virtual.sock'));
  const kubelet = new VirtualKubelet(join(directory, 'kubelet'));
  await kubelet.start();
  const specFile = join(directory, 'spec.json');
  const policy = (fields: object): void => {
    const resource = { name: 'path', policy: 'demo', policyGeneration: 1, ...fields };
    writeFileSync(`${specFile}.new`, JSON.stringify({ resources: [resource] }));
    renameSync(`${specFile}.new`, specFile);
  };
  policy({});
  const log = createLog('silent');
  const node = new SpecFile(specFile, (_part, error) => {
    throw error;
  });
  const agent = createAgent({ host, node, kubeletDir: kubelet.directory, deviceDir: '/dev', rescanSeconds: 30, log });
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  const allPaths = (): readonly NodePath[] => node.status()?.paths ?? [];
  return {
    kubelet,
    allPaths,
    paths: () => allPaths().filter((path) => path.resource === 'path'),
    policy,
    virtual: (...words) => requestChange(control.socket, words),
    until: async (holds) => {
      const deadline = performance.now() + 10_000;
      while (!holds() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 1));
      return holds();
    },
    close: async () => {
      stop.abort();
      await running;
      kubelet.stop();
      await control.close();
      await host.close();
      rmSync(directory, { recursive: true });
    },
  };
}
