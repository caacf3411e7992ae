// The plug-in side of the kubelet's protocol against a virtual kubelet: real gRPC over real unix sockets.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { GpuNames } from '../allocation/gpu-names.ts';
import type { Verify } from '../allocation/pre-start.ts';
import { assignment, gpu, resource, tray } from '../test-support.ts';
import { Kubelet, type KubeletEvents, type KubeletOptions } from './kubelet.ts';
import { PodResources } from './pod-resources.ts';
import type { ContainerDevices } from './protocol.ts';
import { VirtualKubelet } from './virtual/kubelet.ts';

const PATH = 'datadirect.dev/path';
let directory: string;
let kubelet: VirtualKubelet;
let plugin: Kubelet;
/** Errors of registrations that ended, and who wants to hear of the next. */
let lost: unknown[];
let onLost: (error: unknown) => void;
/** What containers were kept from starting by; undefined for those that were not. */
let kept: unknown[];
/** What the hardware would say if it were asked now. */
let verify: Verify;
/** What container runtimes find on the node now. */
let files: { -readonly [Each in keyof KubeletOptions['files']]: KubeletOptions['files'][Each] };

function pluginOf(at: VirtualKubelet, events: Partial<KubeletEvents> = {}): Kubelet {
  return new Kubelet({
    directory: at.plugins,
    files,
    podResources: new PodResources(join(at.directory, 'pod-resources/kubelet.sock')),
    gpuNames: new GpuNames(),
    verify: (...asked) => verify(...asked),
    events: {
      registered: () => {},
      lost: () => {},
      allocated: () => {},
      devicesGiven: () => {},
      verified: () => {},
      ...events,
    },
  });
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kubelet-'));
  kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  lost = [];
  onLost = () => {};
  kept = [];
  verify = () => Promise.resolve(tray());
  files = {
    hostPath: (name) => `/dev/infiniband/${name}`,
    hasCdiDevice: (name) => name.endsWith('=0001:03:00.0'),
  };
  plugin = pluginOf(kubelet, {
    lost: (_resource, error) => {
      lost.push(error);
      onLost(error);
    },
    verified: (_resource, error) => kept.push(error),
  });
});

afterEach(async () => {
  await plugin.close();
  kubelet.stop();
  rmSync(directory, { recursive: true });
});

const ids = tray().map((path) => path.id);
const sees = (healthy: readonly string[]) => (): boolean =>
  JSON.stringify(kubelet.healthy(PATH)) === JSON.stringify(healthy);

test('a resource is registered with its healthy devices', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  expect(kubelet.resource(PATH)?.options).toEqual({ preStartRequired: false, getPreferredAllocationAvailable: true });
  expect(plugin.isRegistered('path')).toBe(true);
});

test('the socket is for the kubelet alone', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  expect(statSync(join(kubelet.plugins, 'datadirect.dev_path.sock')).mode & 0o777).toBe(0o600);
});

test('a device becomes unhealthy for the kubelet and comes back', async () => {
  const [first, ...others] = ids;
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  await plugin.advertise(assignment({ paths: tray({ 0: 'PortDown' }) }));
  await kubelet.until('three paths', sees(others));
  expect(kubelet.resource(PATH)?.devices).toContainEqual({ id: first, healthy: false });
  await plugin.advertise(assignment());
  await kubelet.until('four paths again', sees(ids));
});

test('a resource is registered again after the kubelet has restarted', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  await kubelet.restart();
  await kubelet.until('four paths again', sees(ids));
  expect(kubelet.registrations).toHaveLength(2);
  expect(lost).toEqual([undefined]);
});

test('a resource is registered again after its stream broke while the kubelet stayed', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  kubelet.breakStream(PATH);
  await kubelet.until('the stream broken', sees([]));
  await kubelet.until('four paths again', sees(ids));
  expect(lost).toMatchObject([{ code: 'KUBELET_STREAM_MISSING' }]);
});

test('a stream that breaks twenty times in a row is mended each time, and nothing is left over', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  const handles = process.getActiveResourcesInfo().length;
  for (let cut = 1; cut <= 20; cut++) {
    kubelet.breakStream(PATH);
    await kubelet.until(`four paths after cut ${cut}`, () => kubelet.registrations.length > cut && sees(ids)());
  }
  expect(lost).toHaveLength(20);
  expect(process.getActiveResourcesInfo().length).toBeLessThan(handles + 10);
}, 30_000);

test('a resource is registered again after another agent took its name and ended', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  const followed = Promise.withResolvers<string>();
  const other = pluginOf(kubelet, { registered: followed.resolve });
  await other.advertise(assignment());
  await followed.promise;
  const noticed = new Promise<unknown>((resolve) => (onLost = resolve));
  await other.close();
  expect(await noticed).toMatchObject({ code: 'KUBELET_STREAM_MISSING' });
  await kubelet.until('four paths again', sees(ids));
});

test('a Register that hangs in a kubelet which is then replaced does not keep the new one waiting', async () => {
  const called = Promise.withResolvers<void>();
  kubelet.onRegister = () => {
    called.resolve();
    return new Promise(() => {});
  };
  await plugin.advertise(assignment());
  await called.promise;
  kubelet.onRegister = () => Promise.resolve();
  await kubelet.restart();
  await kubelet.until('four paths', sees(ids));
  expect(kubelet.registrations).toHaveLength(1);
});

test('a kubelet that refuses is asked again', async () => {
  kubelet.refuse = 'not now';
  const refused = new Promise((resolve) => (onLost = resolve));
  await plugin.advertise(assignment());
  expect(await refused).toMatchObject({ code: 'KUBELET_REGISTER_FAILED', cause: { details: 'Error: not now' } });
  kubelet.refuse = undefined;
  await kubelet.until('four paths', sees(ids));
});

test('an agent that starts before the kubelet waits for it', async () => {
  kubelet.stop();
  await plugin.advertise(assignment());
  await kubelet.start();
  await kubelet.until('four paths', sees(ids));
  expect(lost).toEqual([]);
});

test('an agent that starts before the kubelet has made its directory waits for it', async () => {
  const later = new VirtualKubelet(join(directory, 'later'));
  const early = pluginOf(later);
  await early.advertise(assignment());
  await later.start();
  await early.advertise(assignment()); // the next round looks
  await later.until('four paths', () => later.healthy(PATH).length === 4);
  expect(later.registrations).toHaveLength(1);
  await early.close();
  later.stop();
});

test('the socket of a killed agent is in nobody’s way', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const killed = createServer().listen(join(kubelet.plugins, 'datadirect.dev_path.sock'), resolve);
  await promise;
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  expect(lost).toEqual([]);
  killed.close();
});

test('a resource that is gone is emptied before its NICs appear in another', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  await plugin.advertise(assignment({ resources: [resource({ name: 'other' })] }));
  expect(kubelet.resource(PATH)).toMatchObject({ devices: [], isConnected: false });
  await kubelet.until('the other resource', () => kubelet.healthy('datadirect.dev/other').length === 4);
});

test('an agent that leaves withdraws nothing', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  await plugin.close();
  await kubelet.until('the stream ended', () => kubelet.resource(PATH)?.isConnected === false);
  expect(kubelet.resource(PATH)?.devices).toHaveLength(4);
});

test('a container gets the device nodes and the environment of its paths', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  const allocation = await kubelet.allocate(PATH, ids.slice(0, 2));
  expect(allocation.devices).toEqual([
    { containerPath: '/dev/infiniband/uverbs0', hostPath: '/dev/infiniband/uverbs0', permissions: 'rw' },
    { containerPath: '/dev/infiniband/uverbs1', hostPath: '/dev/infiniband/uverbs1', permissions: 'rw' },
  ]);
  expect(allocation.cdiDevices).toEqual(['datadirect.dev/path=0001:03:00.0']);
  expect(allocation.envs).toMatchObject({ NCCL_IB_DATA_DIRECT: '0', NCCL_IB_HCA: '=mlx5_0,mlx5_1' });
});

test('an answer follows the node: a port that falls, nodes and CDI files that change, whatever was answered before', async () => {
  const [first = '', second = ''] = ids;
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  const before = await kubelet.allocate(PATH, [second]);
  expect(await kubelet.allocate(PATH, [second])).toEqual(before);
  files.hasCdiDevice = () => false;
  expect(await kubelet.allocate(PATH, [second])).toEqual({ ...before, cdiDevices: [] });
  files.hostPath = (name) => `/links/${name}`;
  const [device] = (await kubelet.allocate(PATH, [second])).devices;
  expect(device?.hostPath).toBe('/links/uverbs1');
  expect((await kubelet.allocate(PATH, ids)).envs).toMatchObject({ NCCL_IB_DATA_DIRECT: '1' });
  await plugin.advertise(assignment({ paths: tray({ 1: 'PortDown' }) }));
  await expect(kubelet.allocate(PATH, [second])).rejects.toThrow(second);
  await expect(kubelet.allocate(PATH, ids)).rejects.toThrow(second);
  expect((await kubelet.allocate(PATH, [first])).envs).toMatchObject({ NCCL_IB_DATA_DIRECT: '0' });
});

test.each([
  ['unknown', ['0000:ff:00.0'], grpc.status.INVALID_ARGUMENT, '0000:ff:00.0'],
  ['hostile', ['../../../../etc/passwd'], grpc.status.INVALID_ARGUMENT, '../../../../etc/passwd'],
  ['repeated', ['0001:03:00.0', '0001:03:00.0'], grpc.status.INVALID_ARGUMENT, '0001:03:00.0'],
  ['unhealthy', ['0000:03:00.0'], grpc.status.FAILED_PRECONDITION, '0000:03:00.0'],
])('an %s id is refused by its name', async (_kind, asked, code, named) => {
  await plugin.advertise(assignment({ paths: tray({ 0: 'PortDown' }) }));
  await kubelet.until('three paths', sees(ids.slice(1)));
  const refusal = kubelet.allocate(PATH, asked);
  await expect(refusal).rejects.toMatchObject({ code });
  await expect(refusal).rejects.toThrow(named);
});

test('preferred ids are a choice among the free ones', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  expect(await kubelet.prefer(PATH, ids, 2, ids.slice(3))).toEqual([ids[3], ids[2]]);
});

const holds = (pod: string, ...gpus: string[]): ContainerDevices => ({
  namespace: 'default',
  pod,
  container: 'main',
  resource: 'example.com/gpu',
  ids: gpus,
});

test('preferred is the path beside the GPU that another plug-in has just given to the same pod', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  kubelet.hold([holds('renderer', gpu(0))]);
  expect(await kubelet.prefer(PATH, ids, 1)).toEqual([ids[1]]);
  kubelet.hold([holds('renderer', gpu(0)), holds('trainer', gpu(2))]);
  expect(await kubelet.prefer(PATH, ids, 1)).toEqual([ids[2]]);
});

test('without an answer from pod-resources there is a preference all the same', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  rmSync(join(kubelet.directory, 'pod-resources/kubelet.sock'));
  expect(await kubelet.prefer(PATH, ids.toReversed(), 2)).toEqual(ids.slice(0, 2));
});

const registered = (dataDirect = 'Required'): ReturnType<typeof assignment> =>
  assignment({ resources: [resource({ dataDirect, verification: { level: 'Registration' } })] });

test('a container starts after its paths, and no others, have been registered with', async () => {
  await plugin.advertise(registered());
  await kubelet.until('four paths', sees(ids));
  const asked: unknown[] = [];
  verify = (...question) => {
    asked.push(question);
    return Promise.resolve(tray({ 3: 'RegistrationFailed' }));
  };
  await kubelet.preStart(PATH, ids.slice(0, 2));
  expect(asked).toEqual([[ids.slice(0, 2), 'Registration']]);
  expect(kept).toEqual([undefined]);
});

test('a container whose path fails at the last moment does not start, and learns which and why', async () => {
  await plugin.advertise(registered());
  await kubelet.until('four paths', sees(ids));
  verify = () => Promise.resolve(tray({ 1: 'RegistrationFailed' }));
  const start = kubelet.preStart(PATH, ids.slice(0, 2));
  await expect(start).rejects.toMatchObject({ code: grpc.status.FAILED_PRECONDITION });
  await expect(start).rejects.toThrow('mlx5_1 0001:03:00.0 of datadirect.dev/path did not pass Registration');
  await expect(start).rejects.toThrow('RegistrationFailed');
  expect(kept).toMatchObject([{ code: 'PATH_NOT_VERIFIED', fields: { reason: 'RegistrationFailed' } }]);
});

test('under a Preferred policy a path that only lost data direct keeps no container from starting; a dead port does', async () => {
  await plugin.advertise(registered('Preferred'));
  await kubelet.until('four paths', sees(ids));
  verify = () => Promise.resolve(tray({ 0: 'RegistrationFailed', 1: 'PortDown' }));
  await kubelet.preStart(PATH, ids.slice(0, 1));
  await expect(kubelet.preStart(PATH, ids.slice(1, 2))).rejects.toThrow('PortDown');
});

test('a container is told by name of an id that is no path of this node', async () => {
  await plugin.advertise(registered());
  await kubelet.until('four paths', sees(ids));
  await expect(kubelet.preStart(PATH, ['../../etc/passwd'])).rejects.toMatchObject({
    code: grpc.status.INVALID_ARGUMENT,
    details: expect.stringContaining('../../etc/passwd'),
  });
});

test('a policy that begins to verify before each start is registered anew, because the kubelet asks for options only then', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  await plugin.advertise(registered());
  await kubelet.until('the option', () => kubelet.resource(PATH)?.options.preStartRequired === true);
  await kubelet.until('four paths again', sees(ids));
  expect(lost).toEqual([undefined]);
});

test('a hundred kubelet restarts in a row: each finds the resource again, whole, and nothing is left over', async () => {
  await plugin.advertise(assignment());
  await kubelet.until('four paths', sees(ids));
  const handles = process.getActiveResourcesInfo().length;
  for (let restart = 0; restart < 100; restart++) {
    await kubelet.restart();
    await kubelet.until(`four paths after restart ${restart}`, sees(ids));
  }
  expect(kubelet.registrations).toHaveLength(101);
  expect(kubelet.lists(PATH)).toEqual(Array.from({ length: 101 }, () => ids.length));
  expect(lost).toEqual(Array.from({ length: 100 }, () => undefined));
  expect(process.getActiveResourcesInfo().length).toBeLessThan(handles + 10);
}, 60_000);

test('the kubelet is told the DMA function’s NUMA node where the policy asks for it, and none where none is known', async () => {
  const hinted = { resources: [resource({ topologyHints: 'DmaNumaNode' })] };
  const [first, ...others] = tray();
  if (!first?.dma) throw new Error('the tray has no DMA function');
  const homeless = { ...first, dma: { ...first.dma, numaNode: undefined } };
  await plugin.advertise(assignment({ ...hinted, paths: [homeless, ...others] }));
  await kubelet.until('four paths', sees(ids));
  const told = (): unknown[] | undefined => kubelet.resource(PATH)?.devices.map(({ numaNode }) => numaNode);
  expect(told()).toEqual([undefined, 0, 1, 1]);
  await plugin.advertise(assignment({ ...hinted, hintsRefused: 'this node has 36 NUMA nodes' }));
  await kubelet.until('no hints', () => told()?.every((numaNode) => numaNode === undefined) ?? false);
});
