// What the agent stands: devices that hang all at once, and very many rounds of random hardware events.
import { readdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { applyChange, createVirtualHost, loadFixture, Observer } from '@data-direct/driver-core';
import { until } from '@data-direct/kube/virtual';
import { createLog } from '@data-direct/process';
import { expect, onTestFinished, test } from 'vitest';

import { createAgent } from './create-agent.ts';
import { VirtualKubelet } from './kubelet/virtual/kubelet.ts';
import { SpecFile } from './spec-file.ts';
import { assignment, resource } from './test-support.ts';

const PATH = 'datadirect.dev/path';
/** The shipped tray's NICs, its BlueField among them. */
const NICS = ['0000:03:00.0', '0002:03:00.0', '0010:03:00.0', '0012:03:00.0', '0016:03:00.0'];

test('five devices that hang: rounds, Allocate and /healthz go on, each path says so, and the end comes in time', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'faults-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const spec = { resources: [{ name: 'path', policy: 'p', policyGeneration: 1, dataDirect: 'Required' }] };
  writeFileSync(join(directory, 'spec.json'), JSON.stringify(spec));
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  const kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  const node = new SpecFile(join(directory, 'spec.json'), () => {});
  const log = createLog('silent');
  const agent = createAgent({ host, node, kubeletDir: directory, deviceDir: '/dev', rescanSeconds: 30, log });
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4);

  for (const nic of NICS) applyChange(host, ['wedge', nic], true);
  await kubelet.until('none', () => kubelet.healthy(PATH).length === 0, 15_000);
  const reasons = (): (string | undefined)[] =>
    NICS.slice(0, 4).map((nic) => node.status()?.paths?.find(({ id }) => id === nic)?.reason);
  await until(() => reasons().every((reason) => reason === 'DeviceUnresponsive'), 'the reason of each path');
  await expect(kubelet.allocate(PATH, NICS.slice(0, 1))).rejects.toThrow('DeviceUnresponsive');
  expect(agent.illness()).toBeUndefined();

  applyChange(host, ['unwedge', '0000:03:00.0'], true);
  await kubelet.until('the one that answers again', () => kubelet.healthy(PATH).length === 1, 15_000);

  stop.abort();
  await running;
  kubelet.stop();
  await host.close();
}, 40_000);

/** Changes that undo each other, so that the tray can be whole again in the end. */
const FAULTS: readonly (readonly [break_: readonly string[], mend: readonly string[]])[] = [
  [
    ['unbind', '0009:03:00.0'],
    ['bind', '0009:03:00.0'],
  ],
  [
    ['unbind', '0002:03:00.0'],
    ['bind', '0002:03:00.0'],
  ],
  [
    ['port-down', 'mlx5_3'],
    ['port-up', 'mlx5_3'],
  ],
  [
    ['vpd-unreadable', '0010:03:00.0'],
    ['vpd-restore', '0010:03:00.0'],
  ],
  [
    ['refuse', '0000:03:00.0', 'open', 'EIO'],
    ['allow', '0000:03:00.0'],
  ],
];

/** `make soak` does many more, in the real process. */
const ROUNDS = 1000;

test('very many rounds with random hardware events leave nothing behind, and the last one is right', async () => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  const observer = new Observer(host);
  const round = async (): Promise<readonly string[]> => {
    const paths = await observer.round({ verification: 'Probe', trigger: { kind: 'gap' } });
    return assignment({ resources: [resource()], paths: [...paths] }).paths.map(({ id, reason }) => `${id} ${reason}`);
  };
  const whole = await round();
  const before = { descriptors: openDescriptors(), resources: process.getActiveResourcesInfo().length };
  const broken = new Set<number>();
  const wrong: unknown[] = [];
  let state = 1;
  for (let count = 0; count < ROUNDS; count += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const index = (state >>> 16) % FAULTS.length;
    const [cause, mend] = FAULTS[index] ?? [[], []];
    applyChange(host, broken.has(index) ? mend : cause, true);
    if (!broken.delete(index)) broken.add(index);
    const found = await round();
    if (broken.size === 0 && !isDeepStrictEqual(found, whole)) wrong.push({ count, found });
  }
  for (const index of broken) applyChange(host, FAULTS[index]?.[1] ?? [], true);
  expect(await round()).toEqual(whole);
  expect(wrong).toEqual([]);
  expect(openDescriptors()).toBeLessThanOrEqual(before.descriptors);
  expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before.resources);
  await host.close();
}, 120_000);

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
