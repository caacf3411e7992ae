// The whole agent over its real doors: a virtual tray below, a virtual kubelet beside it, a spec from a file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Change, createVirtualHost, applyChange, loadFixture, type VirtualHost } from '@data-direct/driver-core';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Agent } from './agent.ts';
import { createAgent } from './create-agent.ts';
import { VirtualKubelet } from './kubelet/virtual/kubelet.ts';
import { SpecFile } from './spec-file.ts';

const PATH = 'datadirect.dev/path';
/** Of mlx5_0 in the shipped tray. */
const DMA = '0009:03:00.0';
let directory: string;
let host: VirtualHost;
let kubelet: VirtualKubelet;
let node: SpecFile;
let agent: Agent;
let lines: Record<string, unknown>[];
let stop: AbortController;
let running: Promise<void>;

function writeSpec(...resources: object[]): void {
  const filled = resources.map((resource) => ({ name: 'path', policy: 'gb300', policyGeneration: 1, ...resource }));
  writeFileSync(join(directory, 'spec.json'), JSON.stringify({ resources: filled }));
}

const change = (...words: Change): void => applyChange(host, words);
const healthy = (count: number) => (): boolean => kubelet.healthy(PATH).length === count;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'agent-'));
  writeSpec({ dataDirect: 'Required' });
  host = createVirtualHost(await loadFixture('gb300-tray'));
  kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  lines = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) });
  node = new SpecFile(join(directory, 'spec.json'), () => {});
  agent = createAgent({ host, node, kubeletDir: directory, deviceDir: '/dev', rescanSeconds: 30, log });
  stop = new AbortController();
  running = agent.run(stop.signal);
});

afterEach(async () => {
  stop.abort();
  await running;
  kubelet.stop();
  await host.close();
  rmSync(directory, { recursive: true });
});

test('the tray’s four paths are advertised, and not its BlueField', async () => {
  await kubelet.until('four paths', healthy(4));
  expect(kubelet.resource(PATH)?.devices).toHaveLength(4);
});

test('a pod with all paths gets data direct on', async () => {
  await kubelet.until('four paths', healthy(4));
  const { envs } = await kubelet.admit('trainer', PATH, 4);
  expect(envs['NCCL_IB_DATA_DIRECT']).toBe('1');
});

test('a DMA function that is unbound takes its device away, and gives it back when it is bound', async () => {
  await kubelet.until('four paths', healthy(4));
  change('unbind', DMA);
  await kubelet.until('three paths', healthy(3));
  change('bind', DMA);
  await kubelet.until('four paths again', healthy(4));
});
