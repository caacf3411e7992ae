// The whole agent between a virtual API server and a virtual kubelet: from the operator's spec to devices, and from devices to status.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { DataDirectNodeStatus, NodeResource } from '@data-direct/crds';
import { applyChange, createVirtualHost, loadFixture, type VirtualHost } from '@data-direct/driver-core';
import { connect, events, leases } from '@data-direct/kube';
import { startVirtualServer, until, type VirtualServer } from '@data-direct/kube/virtual';
import { createLog } from '@data-direct/process';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';

import { Checkpoint } from './checkpoint.ts';
import { Allocations } from './containers/allocations.ts';
import { createAgent } from './create-agent.ts';
import { VirtualKubelet } from './kubelet/virtual/kubelet.ts';
import { ClusterNodeObject, dataDirectNodes } from './node-object.ts';
import { Metrics } from './metrics.ts';
import { resource } from './test-support.ts';
import { troubleTeller } from './troubles.ts';

const PATH = 'datadirect.dev/path';
const NODE = { name: 'node-1' };
let directory: string;
let checkpointFile: string;
let allocationsFile: string;
let server: VirtualServer;
let kubelet: VirtualKubelet;
let host: VirtualHost;
let metrics: Metrics;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'agent-'));
  checkpointFile = join(directory, 'state/spec.json');
  allocationsFile = join(directory, 'state/allocations.json');
  const listMapKeys = {
    'spec.resources': ['name'],
    'status.paths': ['id'],
    'status.resources': ['name'],
    'status.containers': ['namespace', 'pod', 'container', 'reason'],
  };
  server = await startVirtualServer({ resources: [{ ...dataDirectNodes, status: true, listMapKeys }] });
  kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  metrics = new Metrics('test');
  host = createVirtualHost(await loadFixture('gb300-tray'));
  onTestFinished(async () => {
    kubelet.stop();
    await server.close();
    rmSync(directory, { recursive: true, maxRetries: 5 }); // an agent that ends may still be writing
  });
});

/** Starts an agent; the answer ends it. */
function startAgent(): () => Promise<void> {
  const log = createLog('silent');
  const node = new ClusterNodeObject({
    api: connect(server.connection, { userAgent: 'test' }),
    node: NODE.name,
    namespace: 'data-direct',
    instance: 'agent-x',
    checkpoint: new Checkpoint(checkpointFile),
    onTrouble: troubleTeller(log, metrics, () => performance.now()),
  });
  const allocations = new Allocations(allocationsFile);
  allocations.load();
  const agent = createAgent({
    host,
    node,
    kubeletDir: directory,
    deviceDir: '/dev',
    rescanSeconds: 30,
    allocations,
    log,
    metrics,
  });
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  onTestFinished(end);
  return end;
}

const ask = (...resources: NodeResource[]): void => {
  server.store.apply(dataDirectNodes, { metadata: NODE, spec: { resources } }, true, { fieldManager: 'operator' });
};
const status = (): DataDirectNodeStatus | undefined => server.store.get(dataDirectNodes, NODE).status;
const registered = (): string | undefined => status()?.conditions?.find(({ type }) => type === 'Registered')?.status;
const healthy = (count: number) => (): boolean => kubelet.healthy(PATH).length === count;

test('the operator’s spec becomes devices, and what is found becomes status', async () => {
  startAgent();
  ask(resource());
  await kubelet.until('four paths', healthy(4));
  await until(() => status()?.observedGeneration === 1 && registered() === 'True', 'the kubelet’s following told');
  expect(status()).toMatchObject({
    observedGeneration: 1,
    pathCounts: { total: 4, ready: 4 },
    resources: [{ name: 'path', capacity: 4, healthy: 4 }],
  });
  expect(status()?.paths).toHaveLength(5); // with the BlueField
});

test('a kubelet that is gone is told, and its return', async () => {
  startAgent();
  ask(resource());
  await until(() => existsSync(checkpointFile) && registered() === 'True', 'registered');
  kubelet.stop();
  await until(() => registered() === 'False', 'its going told');
  await kubelet.start();
  await until(() => registered() === 'True', 'its return told');
  expect(kubelet.healthy(PATH)).toHaveLength(4);
});

test('the first list of an agent that restarts without an API server is whole', async () => {
  new Checkpoint(checkpointFile).write({ resources: [resource()] });
  server.fail('reset', { times: 100 });
  const end = startAgent();
  await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4);
  expect(kubelet.lists(PATH)).toEqual([4]);
  await end();
});

test('an agent that restarts without an API server serves what it last knew', async () => {
  const end = startAgent();
  ask(resource({ dataDirect: 'Required' }));
  await kubelet.until('four paths', healthy(4));
  await end();
  await kubelet.until('none', healthy(0));
  server.fail('reset', { times: 1000 });
  startAgent();
  await kubelet.until('four paths again', healthy(4));
  expect(kubelet.registrations).toHaveLength(2);
});

test('a path that broke while no agent ran is a transition, and what did not change keeps its time', async () => {
  const end = startAgent();
  ask(resource());
  await until(() => registered() === 'True', 'registered');
  const before = status()?.paths ?? [];
  await end();
  applyChange(host, ['unbind', '0009:03:00.0']);
  startAgent();
  await until(() => status()?.paths?.[0]?.reason === 'DmaDriverNotBound', 'the new reason');
  expect(
    status()
      ?.paths?.slice(1)
      .map(({ since }) => since),
  ).toEqual(before.slice(1).map(({ since }) => since));
  await until(() => server.store.list(events).length > 0, 'an event');
  expect(server.store.list(events)).toMatchObject([{ type: 'Warning', reason: 'DmaDriverNotBound' }]);
});

test('a container whose path breaks is stale, for the next agent too, until the path is mended', async () => {
  const end = startAgent();
  ask(resource());
  await kubelet.until('four paths', healthy(4));
  await kubelet.admit('train', PATH, 4);
  await until(() => existsSync(allocationsFile), 'the answer on disk');
  await end();
  applyChange(host, ['unbind', '0009:03:00.0']);
  startAgent();
  await until(() => status()?.containers?.length === 1, 'the finding');
  expect(status()?.containers).toMatchObject([
    { namespace: 'default', pod: 'train', container: 'main', reason: 'EnvironmentStale' },
  ]);
  expect(status()?.containers?.[0]?.message).toContain(
    'mlx5_0 is DmaDriverNotBound; NCCL_IB_DATA_DIRECT was 1, would be 0',
  );
  applyChange(host, ['bind', '0009:03:00.0']);
  await until(() => status()?.containers === undefined, 'its end');
});

test('a spec without resources withdraws everything, and says so', async () => {
  startAgent();
  ask(resource());
  await kubelet.until('four paths', healthy(4));
  await kubelet.admit('train', PATH, 4);
  await until(() => existsSync(allocationsFile), 'the answer on disk');
  ask();
  await until(() => status()?.observedGeneration === 2, 'the new spec followed');
  expect(status()?.resources).toEqual([]);
  expect(kubelet.resource(PATH)).toMatchObject({ devices: [], isConnected: false });
  expect(existsSync(checkpointFile)).toBe(false);
  expect(existsSync(allocationsFile)).toBe(false);
});

test('a node without an object has nothing to advertise', async () => {
  startAgent();
  await until(() => server.requests.some(({ verb }) => verb === 'watch'), 'the watch');
  expect(kubelet.registrations).toEqual([]);
});

/** The server answers nothing any more, and what it was telling is cut off. */
function serverGoes(): void {
  server.fail('reset', { times: 100_000 });
  server.disturbWatches('reset');
}

const reasonOf = (index: number): string | undefined => status()?.paths?.[index]?.reason;

test('while the API server is gone the kubelet is told of hardware all the same, and status follows when the server is back', async () => {
  startAgent();
  ask(resource({ dataDirect: 'Required' }));
  await kubelet.until('four paths', healthy(4));
  await until(() => registered() === 'True', 'registered');
  serverGoes();
  applyChange(host, ['unbind', '0009:03:00.0']);
  await kubelet.until('three paths', healthy(3));
  await kubelet.admit('train', PATH, 3);
  expect(reasonOf(0)).toBe('Paired');
  server.heal();
  await until(() => reasonOf(0) === 'DmaDriverNotBound', 'the new reason');
  await until(() => status()?.resources?.[0]?.allocated === 3, 'what was allocated meanwhile');
});

test('with kubelet and API server gone it waits for both, and is right for each as it comes', async () => {
  const end = startAgent();
  ask(resource({ dataDirect: 'Required' }));
  await kubelet.until('four paths', healthy(4));
  await until(() => registered() === 'True' && existsSync(checkpointFile), 'registered');
  await end();
  kubelet.stop();
  serverGoes();
  startAgent();
  applyChange(host, ['unbind', '0009:03:00.0']);
  await kubelet.start();
  await kubelet.until('three paths of what it last knew', healthy(3));
  server.heal();
  await until(() => reasonOf(0) === 'DmaDriverNotBound' && registered() === 'True', 'the status');
  expect(kubelet.lists(PATH).at(-1)).toBe(4);
});

const beats = (): number => server.requests.filter(({ plural }) => plural === 'leases').length;
/** Milliseconds. */
const DAY = 86_400_000;

test.each([
  ['forward', DAY],
  ['back', -DAY],
])('the wall clock jumps %s by a day: nothing expires, nothing is told, and the agent goes on', async (_way, jump) => {
  startAgent();
  ask(resource({ dataDirect: 'Required' }));
  await kubelet.until('four paths', healthy(4));
  await until(() => registered() === 'True' && server.store.list(leases).length === 1, 'registered');
  const since = status()?.paths?.map((path) => path.since);
  const beaten = beats();
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  vi.setSystemTime(Date.now() + jump);
  applyChange(host, ['unbind', '0016:03:00.0']); // the BlueField, which is nobody's: a round in another day
  await until(() => reasonOf(4) === 'WaitingForDriver', 'the round');
  expect(
    status()
      ?.paths?.slice(0, 4)
      .map((path) => path.since),
  ).toEqual(since?.slice(0, 4));
  expect(kubelet.registrations).toHaveLength(1);
  expect(kubelet.healthy(PATH)).toHaveLength(4);
  expect(beats()).toBe(beaten);
  expect((await kubelet.admit('train', PATH, 4)).envs['NCCL_IB_DATA_DIRECT']).toBe('1');
  await kubelet.restart();
  await kubelet.until('four paths after a restart', healthy(4));
});

test('a full disk for what was answered: pods are given their paths, it is told, and written once there is room', async () => {
  mkdirSync(join(directory, 'state'));
  symlinkSync('/dev/full', `${allocationsFile}.new`);
  startAgent();
  ask(resource());
  await kubelet.until('four paths', healthy(4));
  await kubelet.admit('train', PATH, 4);
  await until(
    async () =>
      (await metrics.registry.metrics()).includes('data_direct_troubles_total{part="allocations",code="ENOSPC"}'),
    'the trouble',
  );
  expect(existsSync(allocationsFile)).toBe(false);
  rmSync(`${allocationsFile}.new`);
  applyChange(host, ['unbind', '0016:03:00.0']); // asks for a round, and with it for a report
  await until(() => existsSync(allocationsFile), 'the file');
  expect(readFileSync(allocationsFile, 'utf8')).toContain('NCCL_IB_DATA_DIRECT');
});

const keptFromStarting = (): unknown => server.store.list(events).find(({ action }) => action === 'PreStartContainer');

test('a container that was kept from starting is an event on the node’s object, with the reason', async () => {
  startAgent();
  ask(resource({ dataDirect: 'Required', verification: { level: 'Registration' } }));
  await kubelet.until('four paths', healthy(4));
  await until(() => registered() === 'True', 'registered');
  applyChange(host, ['refuse', '0000:03:00.0', 'register', 'EOPNOTSUPP'], true);
  await expect(kubelet.preStart(PATH, ['0000:03:00.0'])).rejects.toThrow('did not pass Registration');
  await until(() => keptFromStarting() !== undefined, 'the event');
  expect(keptFromStarting()).toMatchObject({
    type: 'Warning',
    reason: 'RegistrationFailed',
    regarding: { kind: 'DataDirectNode', name: NODE.name },
    note: expect.stringContaining('path mlx5_0 0000:03:00.0 of datadirect.dev/path did not pass Registration'),
  });
});

/** One sample, as Prometheus reads it. */
async function sample(series: string): Promise<number> {
  const line = (await metrics.registry.metrics()).split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.split(' ').at(-1));
}

test('metrics tell what happened: paths, rounds and their causes, registrations, allocations, verifications, findings, errors of the API', async () => {
  startAgent();
  ask(resource({ verification: { level: 'Registration' } }));
  await kubelet.until('four paths', healthy(4));
  await until(() => registered() === 'True', 'registered');
  await kubelet.admit('train', PATH, 4);
  await kubelet.allocate(PATH, ['nobody']).catch(() => undefined);
  server.fail({ status: 500, reason: 'InternalError' }, { verb: 'apply', plural: 'datadirectnodes' });
  applyChange(host, ['unbind', '0009:03:00.0']);
  await until(() => status()?.containers?.length === 1, 'the finding');
  kubelet.breakStream(PATH);
  await until(() => kubelet.registrations.length === 2, 'another registration');
  await kubelet.until('four paths again', healthy(4));
  await until(async () => (await sample('data_direct_kubelet_registrations_total{resource="path",result="registered"}')) === 2, 'it counted'); // prettier-ignore
  const expected: Record<string, number> = {
    'data_direct_paths{state="Ready",reason="Paired"}': 3,
    'data_direct_paths{state="Degraded",reason="DmaDriverNotBound"}': 1,
    'data_direct_paths_verified{level="Registration"}': 3,
    'data_direct_path_state{path="0000:03:00.0",name="mlx5_0",reason="DmaDriverNotBound",state="Degraded"}': 1,
    'data_direct_devices{resource="path",health="healthy"}': 4,
    'data_direct_devices{resource="path",health="unhealthy"}': 0,
    'data_direct_rounds_asked_total{cause="start"}': 1,
    'data_direct_kubelet_registrations_total{resource="path",result="failed"}': 1,
    'data_direct_allocation_duration_seconds_count{resource="path",result="ok"}': 1,
    'data_direct_allocation_duration_seconds_count{resource="path",result="error"}': 1,
    'data_direct_container_verifications_total{resource="path",result="passed"}': 1,
    'data_direct_container_findings{reason="EnvironmentStale"}': 1,
    'data_direct_container_findings{reason="GpuElsewhere"}': 0,
    'data_direct_agent_info{version="test"}': 1,
  };
  const seen = await Promise.all(Object.keys(expected).map(async (series) => [series, await sample(series)]));
  expect(Object.fromEntries(seen)).toEqual(expected);
  expect(await sample('data_direct_rounds_asked_total{cause="uevents"}')).toBeGreaterThan(0);
  expect(await sample('data_direct_round_duration_seconds_count')).toBeGreaterThan(1);
  expect(await metrics.registry.metrics()).toMatch(/^data_direct_troubles_total\{part="api",code="KUBE_[A-Z_]+"\} 1$/m);
});
