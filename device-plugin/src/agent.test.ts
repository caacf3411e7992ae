// The whole agent over its real doors: a virtual tray below, a virtual kubelet beside it, a spec from a file.
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Change, createVirtualHost, applyChange, loadFixture, type VirtualHost } from '@data-direct/driver-core';
import { until } from '@data-direct/kube/virtual';
import { createLog } from '@data-direct/process';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

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
let onTrouble: (error: unknown) => void;
let stop: AbortController;
let running: Promise<void>;

function writeSpec(...resources: object[]): void {
  const filled = resources.map((resource) => ({ name: 'path', policy: 'gb300', policyGeneration: 1, ...resource }));
  writeFileSync(join(directory, 'spec.json'), JSON.stringify({ resources: filled }));
}

/** `warn PortDown`, line by line, of one path. */
const told = (id: string): string[] =>
  lines.filter(({ path }) => path === id).map(({ level, reason }) => `${String(level)} ${String(reason)}`);
const reported = (reason: string): Promise<void> =>
  until(() => node.status()?.paths?.find(({ id }) => id === '0000:03:00.0')?.reason === reason, reason);
const change = (...words: Change): void => applyChange(host, words);

const healthy = (count: number) => (): boolean => kubelet.healthy(PATH).length === count;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'agent-'));
  writeSpec({ dataDirect: 'Required' });
  host = createVirtualHost(await loadFixture('gb300-tray'));
  kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  lines = [];
  const log = createLog('info', { write: (line: string) => lines.push(JSON.parse(line)) });
  onTrouble = () => {};
  node = new SpecFile(join(directory, 'spec.json'), (_part, error) => onTrouble(error));
  agent = createAgent({
    host,
    node,
    kubeletDir: directory,
    deviceDir: '/dev',
    cdiDir: join(directory, 'cdi'),
    linkDir: join(directory, 'links'),
    rescanSeconds: 30,
    log,
  });
  stop = new AbortController();
  running = agent.run(stop.signal);
});

afterEach(async () => {
  stop.abort();
  await running;
  kubelet.stop();
  await host.close();
  rmSync(directory, { recursive: true, maxRetries: 5 });
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

test('a container does not start on a path that stopped registering unheard, and DataDirectNode’s status knows it then', async () => {
  writeSpec({ dataDirect: 'Required', verification: { level: 'Registration' } });
  await kubelet.until('the option', () => kubelet.resource(PATH)?.options.preStartRequired === true);
  await kubelet.until('four paths', healthy(4));
  change('refuse', '0000:03:00.0', 'register', 'EOPNOTSUPP');
  const start = kubelet.preStart(PATH, ['0000:03:00.0']);
  await expect(start).rejects.toThrow('mlx5_0 0000:03:00.0 of datadirect.dev/path did not pass Registration');
  await kubelet.until('three paths', healthy(3));
  await reported('RegistrationFailed');
  change('allow', '0000:03:00.0');
  await kubelet.preStart(PATH, ['0000:03:00.0']);
});

test('a container does not start on a device that hangs, learns so in time, and those beside it start', async () => {
  writeSpec({ dataDirect: 'Required', verification: { level: 'Registration' } });
  await kubelet.until('the option', () => kubelet.resource(PATH)?.options.preStartRequired === true);
  await kubelet.until('four paths', healthy(4));
  changeUnheard('wedge', '0000:03:00.0');
  await expect(kubelet.preStart(PATH, ['0000:03:00.0'])).rejects.toThrow('DeviceUnresponsive');
  await kubelet.preStart(PATH, ['0002:03:00.0']);
  changeUnheard('unwedge', '0000:03:00.0');
});

test('a DMA function that is unbound takes its device away, and gives it back when it is bound', async () => {
  await kubelet.until('four paths', healthy(4));
  change('unbind', DMA);
  await kubelet.until('three paths', healthy(3));
  expect(kubelet.healthy(PATH)).not.toContain('0000:03:00.0');
  change('bind', DMA);
  await kubelet.until('four paths again', healthy(4));
  await reported('Paired');
  expect(told('0000:03:00.0')).toEqual(['info Paired', 'warn DmaDriverNotBound', 'info Paired']);
});

/** A port's state makes no event: a rescan finds it, or as here the news that events were lost. */
const changeUnheard = (...words: Change): void => applyChange(host, words, true);

const firstPath = () => node.status()?.paths?.find(({ id }) => id === '0000:03:00.0');
const portFalls = (): number | undefined => firstPath()?.portFalls;
const portState = (): string | undefined => firstPath()?.nic.portState;

test('a port that goes down takes its device away, and gives it back', async () => {
  await kubelet.until('four paths', healthy(4));
  changeUnheard('port-down', 'mlx5_0');
  await kubelet.until('three paths', healthy(3));
  expect(kubelet.healthy(PATH)).not.toContain('0000:03:00.0');
  changeUnheard('port-up', 'mlx5_0');
  await kubelet.until('four paths again', healthy(4));
});

test('a port that falls again and again is kept from pods although it is up, and its falls are counted', async () => {
  await kubelet.until('four paths', healthy(4));
  for (let fall = 1; fall <= 3; fall++) {
    changeUnheard('port-down', 'mlx5_0');
    await until(() => portFalls() === fall, `fall ${fall}`);
    changeUnheard('port-up', 'mlx5_0');
    await until(() => portState() === 'ACTIVE', 'its return');
  }
  expect(kubelet.healthy(PATH)).not.toContain('0000:03:00.0');
  expect(firstPath()).toMatchObject({ reason: 'PortDown', message: expect.stringContaining('fell 3 times') });
});

test('under a Preferred policy a path that lost its DMA function is handed out with data direct off', async () => {
  await kubelet.until('four paths', healthy(4));
  change('unbind', DMA);
  await kubelet.until('three paths', healthy(3));
  writeSpec({ dataDirect: 'Preferred' });
  await kubelet.until('four paths', healthy(4));
  const { envs } = await kubelet.admit('trainer', PATH, 4);
  expect(envs).toMatchObject({ NCCL_IB_DATA_DIRECT: '0', NCCL_IB_HCA: '=mlx5_0,mlx5_1,mlx5_2,mlx5_3' });
});

test('a device that hangs costs its own path and no other', async () => {
  await kubelet.until('four paths', healthy(4));
  change('wedge', '0000:03:00.0');
  change('unbind', '0008:03:00.0'); // of mlx5_1: the round that it asks for meets the hanging device
  await kubelet.until('two paths', healthy(2));
  expect(kubelet.healthy(PATH)).toEqual(['0010:03:00.0', '0012:03:00.0']);
});

test('a NIC that lost its driver stays in the resource that selected it by RDMA device, unhealthy', async () => {
  writeSpec({ nics: { ibDevices: ['mlx5_0', 'mlx5_1'] } });
  await kubelet.until('two paths', healthy(2));
  change('unbind', '0000:03:00.0');
  await kubelet.until('one path', healthy(1));
  expect(kubelet.resource(PATH)?.devices).toHaveLength(2);
  await until(() => node.status()?.paths?.[0]?.reason === 'WaitingForDriver', 'its reason');
  expect(node.status()?.paths?.[0]).toMatchObject({ name: '0000:03:00.0', resource: 'path' });
});

test('what a container was given leads to its own NIC after drivers were loaded in another order, by the replayed answer and by CDI', async () => {
  await kubelet.until('four paths', healthy(4));
  const path = '0000:03:00.0';
  const { devices, cdiDevices } = await kubelet.allocate(PATH, [path]);
  const replayed = devices[0]?.hostPath ?? '';
  expect(readlinkSync(replayed)).toBe('/dev/infiniband/uverbs0');
  for (const nic of ['0000:03:00.0', '0002:03:00.0']) change('unbind', nic);
  await kubelet.until('two paths', healthy(2));
  for (const nic of ['0002:03:00.0', '0000:03:00.0']) change('bind', nic);
  await kubelet.until('four paths again', healthy(4));
  expect(readlinkSync(replayed)).toBe('/dev/infiniband/uverbs1');
  expect(cdiDevices).toEqual([`${PATH}=${path}`]);
  const cdi = JSON.parse(readFileSync(join(directory, 'cdi/datadirect.dev-path.json'), 'utf8')) as {
    devices: { name: string; containerEdits: { deviceNodes: { hostPath: string }[] } }[];
  };
  const own = cdi.devices.find(({ name }) => name === path);
  expect(own?.containerEdits.deviceNodes.map(({ hostPath }) => hostPath)).toContain('/dev/infiniband/uverbs1');
});

test('a spec without resources withdraws everything', async () => {
  await kubelet.until('four paths', healthy(4));
  writeSpec();
  await kubelet.until('the end of the stream', () => kubelet.resource(PATH)?.isConnected === false);
  expect(kubelet.resource(PATH)?.devices).toEqual([]);
  expect(agent.unready()).toBeUndefined();
});

test('a spec file that no longer fits is told, and the last one goes on', async () => {
  await kubelet.until('four paths', healthy(4));
  const trouble = new Promise((resolve) => (onTrouble = resolve));
  writeFileSync(join(directory, 'spec.json'), '{"resources":[{"name":"path"}]}');
  await expect(trouble).resolves.toMatchObject({
    code: 'SPEC_INVALID',
    message: expect.stringContaining('resources[0].policy'),
  });
  expect(kubelet.healthy(PATH)).toHaveLength(4);
});

test('it is ready once the kubelet follows, and not before', async () => {
  expect(agent.unready()).toBe('the first round has not ended');
  await kubelet.until('four paths', healthy(4));
  await until(() => agent.unready() === undefined, 'ready');
  kubelet.stop();
  await until(() => agent.unready() === 'the kubelet does not follow path', 'not ready');
  expect(agent.illness()).toBeUndefined();
});

test('status counts the devices that pods hold', async () => {
  await kubelet.until('four paths', healthy(4));
  await kubelet.admit('trainer', PATH, 3);
  await until(() => node.status()?.resources?.[0]?.allocated === 3, 'three allocated');
  expect(node.status()?.kernel).toBe(host.kernelRelease);
});

test('a round in which nothing has changed says nothing', async () => {
  await kubelet.until('four paths', healthy(4));
  await reported('Paired');
  await until(() => agent.unready() === undefined, 'ready');
  const before = lines.length;
  change('unbind', '0016:03:00.0'); // the BlueField, which is nobody's… and is told once
  await until(() => lines.length > before, 'its line');
  change('bind', '0016:03:00.0');
  await until(() => told('0016:03:00.0').length === 3, 'its return');
  expect(lines.slice(before)).toHaveLength(2);
});

const allocated = (): number | undefined => node.status()?.resources?.[0]?.allocated;
/** Of another plug-in. */
const gpuContainer = {
  namespace: 'default',
  pod: 'trainer',
  container: 'main',
  resource: 'example.com/gpu',
  ids: ['0'],
};

describe('what containers hold', () => {
  const MINUTE = 60_000;
  /** From now on only the test lets time pass. */
  beforeEach(async () => {
    await until(() => allocated() === 0, 'the first report');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => void vi.useRealTimers());

  test('is known soon after an allocation, and within a minute after a container has ended', async () => {
    await kubelet.admit('trainer', PATH, 1);
    vi.advanceTimersByTime(1000);
    await until(() => allocated() === 1, 'the allocation');
    await until(() => vi.getTimerCount() > 0, 'the wish to ask again');
    kubelet.hold([]);
    vi.advanceTimersByTime(MINUTE);
    await until(() => allocated() === 0, 'its end');
    expect(kubelet.healthy(PATH)).toHaveLength(4);
  });

  test('is not asked for while nobody was given anything', async () => {
    const before = kubelet.asked;
    for (let minute = 0; minute < 5; minute++) {
      vi.advanceTimersByTime(MINUTE);
      await kubelet.prefer(PATH, kubelet.healthy(PATH), 1); // takes as long as asking does, and asks once
    }
    expect(kubelet.asked - before).toBeLessThan(5 + 3); // the start may have a report on its way
  });

  test('is asked for within a minute after another plug-in gave devices to a container', async () => {
    kubelet.hold([gpuContainer]);
    await until(() => vi.getTimerCount() > 0, 'the wish to ask');
    const before = kubelet.asked;
    vi.advanceTimersByTime(MINUTE);
    await until(() => kubelet.asked > before, 'the question');
    expect(allocated()).toBe(0);
  });
});
