// What the agent stands: devices that hang all at once, and very many rounds of random hardware events.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  applyChange,
  createVirtualHost,
  type Files,
  type Host,
  loadFixture,
  Observer,
  type Path,
  type VirtualHost,
} from '@data-direct/driver-core';
import { until } from '@data-direct/kube/virtual';
import { createLog } from '@data-direct/process';
import { expect, onTestFinished, test } from 'vitest';

import { createAgent } from './create-agent.ts';
import { Hardware } from './hardware.ts';
import { VirtualKubelet } from './kubelet/virtual/kubelet.ts';
import { SpecFile } from './spec-file.ts';
import { torment } from './virtual/torment.ts';

const PATH = 'datadirect.dev/path';
/** `make soak-events` does ten thousand. */
const EVENTS = 120;
/** The shipped tray's NICs, its BlueField among them. */
const NICS = ['0000:03:00.0', '0002:03:00.0', '0010:03:00.0', '0012:03:00.0', '0016:03:00.0'];

test('five devices that hang: rounds, Allocate and /healthz go on, each path says so, and the end comes in time', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'faults-'));
  onTestFinished(() => rmSync(directory, { recursive: true, maxRetries: 5 }));
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

test('random hardware events, restarts of the kubelet and allocations: after each the agent says the truth, and nothing is left behind', async () => {
  const { wrong, before, after } = await torment({ events: EVENTS, seed: 1 });
  expect(wrong).toEqual([]);
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 2);
  expect(after.resources).toBeLessThanOrEqual(before.resources + 2);
}, 60_000);

const VERIFIED = { level: 'Probe', intervalMs: 600_000 } as const;
/** How many entries of /sys were read when one goes; a round reads about 240. */
const STEPS = Array.from({ length: 20 }, (_, index) => index * 12 + 1);

test.each(['0009:03:00.0', '0000:03:00.0'])(
  '%s is taken off the bus in the middle of a round, after ever more of it was read: no round fails, and the next one says the truth',
  async (address) => {
    for (const step of STEPS) {
      const host = createVirtualHost(await loadFixture('gb300-tray'));
      const hardware = new Hardware(vanishing(host, address, step), { debounceMs: 0, rescanMs: 5, portPollMs: 1000 });
      const stop = new AbortController();
      const wishes = hardware.changes(stop.signal);
      let seen: readonly Path[] = [];
      for (let round = 0; round < 3; round += 1) {
        await wishes.next(); // the start, lost events, a rescan
        seen = await hardware.observe(VERIFIED);
      }
      stop.abort();
      await wishes.return(undefined);
      const truth = await new Observer(host).round({ verification: 'Probe' });
      expect([step, seen.map(({ id, reason }) => [id, reason])]).toEqual([
        step,
        truth.map(({ id, reason }) => [id, reason]),
      ]);
      await host.close();
    }
  },
);

/** The host, on which a function goes when so many of /sys's entries have been read; as by a surprise removal. */
function vanishing(host: VirtualHost, address: string, after: number): Host {
  let reads = 0;
  const counted =
    <Arguments extends unknown[], Result>(read: (...asked: Arguments) => Result) =>
    (...asked: Arguments): Result => {
      reads += 1;
      if (reads === after) applyChange(host, ['remove', address], true);
      return read(...asked);
    };
  const { sysfs } = host;
  const files: Files = {
    list: counted((path) => sysfs.list(path)),
    link: counted((path) => sysfs.link(path)),
    real: counted((path) => sysfs.real(path)),
    identity: counted((path) => sysfs.identity(path)),
    read: counted((path) => sysfs.read(path)),
    readSlow: counted((path, device) => sysfs.readSlow(path, device)),
  };
  return new Proxy(host, { get: (target, name) => (name === 'sysfs' ? files : own(target, name)) });
}

function own(host: VirtualHost, name: string | symbol): unknown {
  const value: unknown = Reflect.get(host, name, host);
  return typeof value === 'function' ? value.bind(host) : value;
}
