// The agent with a kubelet that speaks grpc-go: everything that a kubelet asks of it, and what it tells by itself.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createAgent, SpecFile } from '@data-direct/device-plugin';
import { applyChange, createVirtualHost, loadFixture, type VirtualHost } from '@data-direct/driver-core';
import { until } from '@data-direct/kube/virtual';
import { createLog } from '@data-direct/process';
import { beforeEach, expect, inject, onTestFinished, test } from 'vitest';

import { Talker } from '../talker.ts';

const PATH = 'datadirect.dev/path';
const IDS = ['0000:03:00.0', '0002:03:00.0', '0010:03:00.0', '0012:03:00.0'];

interface Word {
  readonly saw: 'started' | 'registered' | 'list' | 'end' | 'allocated' | 'preferred' | 'prestarted';
  readonly resource?: string;
  readonly options?: object;
  readonly devices?: readonly { readonly ID: string; readonly health: string }[];
  readonly answer?: object;
  readonly ids?: readonly string[];
  readonly code?: string;
  readonly message?: string;
}

let directory: string;
let kubelet: Talker<Word>;
let host: VirtualHost;
let node: SpecFile;
let stop: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'grpc-go-'));
  policy({ dataDirect: 'Required', verification: { level: 'Registration' }, topologyHints: 'DmaNumaNode' });
  kubelet = new Talker<Word>(inject('programs').kubelet, directory);
  kubelet.tell({ do: 'start' });
  await saw('started'); // from then on its directory is there, as on every node
  host = createVirtualHost(await loadFixture('gb300-tray'));
  node = new SpecFile(join(directory, 'spec.json'), () => {});
  const agent = createAgent({
    host,
    node,
    kubeletDir: directory,
    deviceDir: '/dev',
    cdiDir: join(directory, 'cdi'),
    rescanSeconds: 30,
    log: createLog('silent'),
  });
  stop = new AbortController();
  running = agent.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
    kubelet.kill();
    await host.close();
    rmSync(directory, { recursive: true, maxRetries: 5 });
  });
});

function policy(fields: object): void {
  const resources = [{ name: 'path', policy: 'gb300', policyGeneration: 1, ...fields }];
  writeFileSync(join(directory, 'spec.json'), JSON.stringify({ resources }));
}

const healthy = ({ devices = [] }: Word): string[] =>
  devices.filter(({ health }) => health === 'Healthy').map(({ ID }) => ID);
const lists = (count: number): Promise<Word> =>
  kubelet.next((word) => word.saw === 'list' && healthy(word).length === count);
const saw = (what: Word['saw']): Promise<Word> => kubelet.next((word) => word.saw === what);

test('it registers with its options, and the first list is whole, with NUMA nodes', async () => {
  expect(await saw('registered')).toMatchObject({
    resource: PATH,
    options: { pre_start_required: true, get_preferred_allocation_available: true },
  });
  const first = await saw('list');
  expect(healthy(first)).toEqual(IDS);
  expect(first.devices?.[0]).toMatchObject({ topology: { nodes: [{}] } });
});

test('Allocate answers with environment, device nodes and CDI names; ids that it does not know, or twice, with INVALID_ARGUMENT', async () => {
  await lists(4);
  kubelet.tell({ do: 'allocate', ids: IDS });
  expect((await saw('allocated')).answer).toMatchObject({
    envs: {
      NCCL_IB_DATA_DIRECT: '1',
      NCCL_IB_HCA: '=mlx5_0,mlx5_1,mlx5_2,mlx5_3',
      PCIDEVICE_DATADIRECT_DEV_PATH: IDS.join(),
    },
    devices: [0, 1, 2, 3].map((index) => ({
      container_path: `/dev/infiniband/uverbs${index}`,
      host_path: `/dev/infiniband/uverbs${index}`,
      permissions: 'rw',
    })),
    cdi_devices: IDS.map((id) => ({ name: `${PATH}=${id}` })),
  });
  for (const ids of [['nobody'], ['../../../../etc/passwd'], [IDS[0], IDS[0]]]) {
    kubelet.tell({ do: 'allocate', ids });
    expect(await saw('allocated')).toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining(ids[0] ?? ''),
    });
  }
});

test('GetPreferredAllocation answers with what must be and the rest beside it, and never with an error', async () => {
  await lists(4);
  kubelet.tell({ do: 'prefer', ids: IDS, must: [IDS[3]], size: 2 });
  expect((await saw('preferred')).ids).toEqual([IDS[3], IDS[2]]);
  kubelet.tell({ do: 'prefer', ids: ['nobody'], size: 3 });
  const odd = await saw('preferred');
  expect([odd.code, odd.ids]).toEqual([undefined, ['nobody']]);
});

test('PreStartContainer lets a container start on paths that register, and keeps it from one that does not', async () => {
  await lists(4);
  kubelet.tell({ do: 'prestart', ids: IDS.slice(0, 2) });
  expect((await saw('prestarted')).code).toBeUndefined();
  applyChange(host, ['refuse', '0002:03:00.0', 'register', 'EOPNOTSUPP']);
  kubelet.tell({ do: 'prestart', ids: IDS.slice(0, 2) });
  expect(await saw('prestarted')).toMatchObject({
    code: 'FailedPrecondition',
    message: expect.stringContaining('mlx5_1 0002:03:00.0 of datadirect.dev/path did not pass Registration'),
  });
});

test('the list follows the hardware, both ways', async () => {
  await lists(4);
  applyChange(host, ['unbind', '0009:03:00.0']);
  expect(healthy(await lists(3))).toEqual(IDS.slice(1));
  applyChange(host, ['bind', '0009:03:00.0']);
  await lists(4);
});

test('it registers again when its stream is cut, and when the kubelet restarts, each time with the whole list', async () => {
  await lists(4);
  for (let cut = 0; cut < 5; cut += 1) {
    kubelet.tell({ do: 'cut' });
    await saw('end');
    await saw('registered');
    expect(healthy(await lists(4))).toEqual(IDS);
  }
  kubelet.tell({ do: 'stop' });
  await saw('end');
  kubelet.tell({ do: 'start' });
  await saw('registered');
  await lists(4);
});

test('a resource that is withdrawn is emptied, then closed', async () => {
  await lists(4);
  writeFileSync(join(directory, 'spec.json'), JSON.stringify({ resources: [] }));
  expect((await saw('list')).devices).toBeUndefined();
  expect(await saw('end')).toMatchObject({ message: 'EOF' });
});

test('as a client of pod-resources it counts what containers hold', async () => {
  await lists(4);
  kubelet.tell({ do: 'hold', held: { [PATH]: IDS.slice(0, 3), 'example.com/gpu': ['gpu-0'] } });
  applyChange(host, ['unbind', '0009:03:00.0']); // asks for a round, and with it for a report
  await until(() => (node.status()?.resources?.[0]?.allocated ?? 0) > 0, 'some allocated');
  expect(node.status()?.resources).toMatchObject([{ name: 'path', allocated: 3 }]);
});
