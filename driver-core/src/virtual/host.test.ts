import { mkdtemp, readdir, readFile, readlink, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { refused } from '../host/host.ts';
import type { Uevent } from '../host/host.ts';
import { applyChange } from './changes.ts';
import { ManualClock } from './clock.ts';
import { createVirtualHost } from './host.ts';
import type { VirtualHost } from './host.ts';
import { loadFixture } from './load.ts';
import { materialise } from './materialise.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';
const DMA_PATH = 'devices/pci0009:00/0009:00:00.0/0009:01:00.0/0009:02:00.0/0009:03:00.0';
const NIC_PATH = 'devices/pci0000:00/0000:00:00.0/0000:01:00.0/0000:02:00.0/0000:03:00.0';

let clock: ManualClock;
let host: VirtualHost;
beforeEach(async () => {
  clock = new ManualClock();
  host = createVirtualHost(await loadFixture('gb300-tray'), { clock, callBudgetMs: 1000 });
});

function text(path: string): string {
  const bytes = host.sysfs.read(path);
  if (refused(bytes)) throw new Error(`${path}: ${bytes.code}`);
  return bytes.toString('latin1');
}

describe('sysfs', () => {
  test('shows functions, drivers, groups and RDMA devices as the kernel does', () => {
    expect(host.sysfs.real(`bus/pci/devices/${DMA}`)).toBe(DMA_PATH);
    expect(host.sysfs.list('class/infiniband')).toEqual(['mlx5_0', 'mlx5_1', 'mlx5_2', 'mlx5_3', 'mlx5_4']);
    expect(text(`bus/pci/devices/${DMA}/class`)).toBe('0x080100\n');
    expect(text(`bus/pci/devices/${DMA}/device`)).toBe('0x2100\n');
    expect(text(`bus/pci/devices/${DMA}/../vendor`)).toBe('0x15b3\n');
    expect(text('class/infiniband/mlx5_0/ports/1/state')).toBe('4: ACTIVE\n');
    expect(text('class/infiniband_verbs/uverbs0/ibdev')).toBe('mlx5_0\n');
    expect(text('class/infiniband_verbs/uverbs3/dev')).toBe('231:195\n');
    expect(text('class/infiniband_verbs/abi_version')).toBe('6\n');
    expect(host.sysfs.link('class/infiniband/mlx5_0/device')).toBe(`../../../${NIC}`);
    expect(host.sysfs.real('class/net/enP22p3s0f0np0/device')).toMatch(/0016:03:00\.0$/);
    expect(host.sysfs.real(`bus/pci/devices/${DMA}/iommu_group`)).toBe('kernel/iommu_groups/30');
    expect(host.sysfs.list('kernel/iommu_groups/30/devices')).toContain(DMA);
  });

  test('answers with the errno that Linux would', () => {
    expect(host.sysfs.list('class/nothing')).toMatchObject({ code: 'ENOENT', number: 2, what: 'class/nothing' });
    expect(host.sysfs.list(`${DMA_PATH}/class`)).toMatchObject({ code: 'ENOTDIR' });
    expect(host.sysfs.read(`${DMA_PATH}/class/x`)).toMatchObject({ code: 'ENOTDIR' });
    expect(host.sysfs.read(DMA_PATH)).toMatchObject({ code: 'EISDIR' });
    expect(host.sysfs.link(`${DMA_PATH}/class`)).toMatchObject({ code: 'EINVAL' });
  });

  test('what is read is the reader’s own', () => {
    const first = host.sysfs.read(`${DMA_PATH}/config`);
    if (!refused(first)) first.fill(0);
    expect(text(`${DMA_PATH}/config`)).not.toMatch(/^\0/);
  });

  test('written to disk is the same to a plain walk of files', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sys-'));
    await materialise(host.sysfsTree, directory);
    const devices = await readdir(join(directory, 'bus/pci/devices'));
    expect(devices).toEqual(host.sysfs.list('bus/pci/devices'));
    const dma = join(directory, 'bus/pci/devices', DMA);
    expect(await realpath(dma)).toBe(join(await realpath(directory), DMA_PATH));
    expect(await readFile(join(dma, 'vpd'))).toEqual(await host.sysfs.readSlow(`${DMA_PATH}/vpd`, DMA));
    expect((await stat(join(dma, 'vpd'))).mode & 0o777).toBe(0o600);
    expect(await readlink(join(dma, 'driver'))).toBe(host.sysfs.link(`${DMA_PATH}/driver`));
    await expect(materialise(host.sysfsTree, directory)).rejects.toThrow(/not empty/);
    await rm(directory, { recursive: true });
  });
});

test('the default route is the BlueField’s, in the kernel’s own form', () => {
  const route = host.proc.read('net/route');
  const lines = refused(route) ? [] : route.toString().split('\n');
  expect(lines[1]).toMatch(/^enP22p3s0f0np0\t00000000\t[0-9A-F]{8}\t0003\t/);
  expect(lines.slice(0, -1).every((line) => line.length === 127)).toBe(true);
  const route6 = host.proc.read('net/ipv6_route');
  expect(refused(route6) ? '' : route6.toString()).toMatch(/^0{32} 00 0{32} 00 20010db8\S+ .* enP22p3s0f0np0$/m);
});

const brief = (event: Uevent): string =>
  event.kind === 'gap' ? 'gap' : `${event.action} ${event.env['SUBSYSTEM']} ${event.devpath.split('/').at(-1)}`;

describe('uevents', () => {
  let events: Uevent[];
  let listening: AbortController;
  beforeEach(() => {
    events = [];
    listening = new AbortController();
  });

  /** What a listener hears of these changes. */
  async function heard(...changes: string[][]): Promise<Uevent[]> {
    const stream = host.uevents(listening.signal);
    for (const change of changes) applyChange(host, change);
    // A gap marks the end.
    host.alter(() => {}, true);
    for await (const event of stream) {
      if (event.kind === 'gap') break;
      events.push(event);
    }
    listening.abort();
    return events;
  }

  test('unbinding a DMA function: exactly the keys of a real kernel, without DRIVER and MODALIAS', async () => {
    const [event, ...others] = await heard(['unbind', DMA]);
    expect(others).toEqual([]);
    expect(event).toEqual({
      kind: 'event',
      action: 'unbind',
      devpath: `/${DMA_PATH}`,
      env: {
        ACTION: 'unbind',
        DEVPATH: `/${DMA_PATH}`,
        SUBSYSTEM: 'pci',
        PCI_CLASS: '80100',
        PCI_ID: '15B3:2100',
        PCI_SUBSYS_ID: '15B3:0040',
        PCI_SLOT_NAME: DMA,
        SEQNUM: expect.stringMatching(/^\d+$/) as string,
      },
    });
  });

  test('binding it: the same with DRIVER and MODALIAS', async () => {
    const [, bind] = await heard(['unbind', DMA], ['bind', DMA]);
    expect(bind?.kind === 'event' && Object.keys(bind.env).toSorted()).toEqual([
      'ACTION',
      'DEVPATH',
      'DRIVER',
      'MODALIAS',
      'PCI_CLASS',
      'PCI_ID',
      'PCI_SLOT_NAME',
      'PCI_SUBSYS_ID',
      'SEQNUM',
      'SUBSYSTEM',
    ]);
    expect(bind?.kind === 'event' && bind.env).toMatchObject({
      DRIVER: 'mlx5_ib',
      MODALIAS: 'pci:v000015B3d00002100sv000015B3sd00000040bc08sc01i00',
    });
  });

  test('hot-removal is unbind then remove, hot-add is add then bind; only unbind lacks MODALIAS', async () => {
    const all = await heard(['remove', DMA], ['add', DMA]);
    expect(all.map(brief)).toEqual([`unbind pci ${DMA}`, `remove pci ${DMA}`, `add pci ${DMA}`, `bind pci ${DMA}`]);
    expect(all.map((event) => event.kind === 'event' && 'MODALIAS' in event.env)).toEqual([false, true, true, true]);
  });

  test('unbinding a NIC tells of everything that hung on it, the PCI event last; binding mirrors it', async () => {
    const all = await heard(['unbind', NIC], ['bind', NIC]);
    expect(all.map(brief)).toEqual([
      'remove infiniband_verbs uverbs0',
      'remove infiniband_mad umad0',
      'remove net ibp3s0',
      'remove infiniband mlx5_0',
      'unbind auxiliary mlx5_core.rdma.0',
      'remove auxiliary mlx5_core.rdma.0',
      `unbind pci ${NIC}`,
      'add auxiliary mlx5_core.rdma.0',
      'add infiniband mlx5_0',
      'add net ibp3s0',
      'add infiniband_mad umad0',
      'add infiniband_verbs uverbs0',
      'bind auxiliary mlx5_core.rdma.0',
      `bind pci ${NIC}`,
    ]);
    expect(all[0]?.kind === 'event' && all[0].env).toMatchObject({
      DEVNAME: 'infiniband/uverbs0',
      MAJOR: '231',
      MINOR: '192',
    });
    expect(all[3]?.kind === 'event' && all[3].env).toMatchObject({
      NAME: 'mlx5_0',
      DEVPATH: `/${NIC_PATH}/infiniband/mlx5_0`,
    });
  });

  test('are numbered in order', async () => {
    const all = await heard(['unbind', NIC], ['bind', NIC]);
    const numbers = all.map((event) => (event.kind === 'event' ? Number(event.env['SEQNUM']) : Number.NaN));
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
  });

  test('there is none for a port that goes down, nor for a change of iommu group', async () => {
    expect(await heard(['port-down', 'mlx5_0'], ['regroup', DMA, '77'])).toEqual([]);
  });

  test('that were lost come as one gap, with the change done', async () => {
    const stream = host.uevents(listening.signal);
    applyChange(host, ['unbind', DMA], true);
    for await (const event of stream) {
      events.push(event);
      break;
    }
    expect(events).toEqual([{ kind: 'gap' }]);
    expect(host.sysfs.link(`${DMA_PATH}/driver`)).toMatchObject({ code: 'ENOENT' });
  });

  test('a listener that does not keep up is told so', async () => {
    const stream = host.uevents(listening.signal);
    for (let round = 0; round < 1000; round += 1) {
      applyChange(host, ['unbind', DMA]);
      applyChange(host, ['bind', DMA]);
    }
    for await (const event of stream) {
      events.push(event);
      break;
    }
    expect(events).toEqual([{ kind: 'gap' }]);
  });

  test('end when the signal aborts', async () => {
    const stream = host.uevents(listening.signal);
    const done = (async () => {
      for await (const event of stream) events.push(event);
    })();
    listening.abort();
    await done;
    expect(events).toEqual([]);
  });
});

const vpd = (address = DMA) => host.sysfs.readSlow(`bus/pci/devices/${address}/vpd`, address);

describe('a wedged device', () => {
  test('holds a call until its time is up, refuses further ones at once, and no other device', async () => {
    applyChange(host, ['wedge', DMA]);
    const first = vpd();
    expect(await vpd()).toMatchObject({ code: 'EBUSY' });
    expect(refused(await vpd('0008:03:00.0'))).toBe(false);
    clock.advance(1000);
    expect(await first).toMatchObject({ code: 'ETIMEDOUT', number: 110 });
    expect(await vpd()).toMatchObject({ code: 'EBUSY' });
    applyChange(host, ['unwedge', DMA]);
    expect(refused(await vpd())).toBe(false);
  });

  test('that answers again in time ends the call as if nothing had been', async () => {
    applyChange(host, ['wedge', DMA]);
    const first = vpd();
    applyChange(host, ['unwedge', DMA]);
    expect(refused(await first)).toBe(false);
    expect(clock.sleepers).toBe(0);
  });

  test('blocks open, ioctl and the port’s state of a NIC', async () => {
    const device = await host.openDevice('/dev/infiniband/uverbs0', NIC);
    applyChange(host, ['wedge', 'mlx5_0']);
    const ioctl = refused(device) ? device : device.ioctl(0xc0181b01, Buffer.alloc(24), []);
    expect(await host.openDevice('/dev/infiniband/uverbs0', NIC)).toMatchObject({ code: 'EBUSY' });
    clock.advance(1000);
    expect(await ioctl).toMatchObject({ code: 'ETIMEDOUT' });
    expect(() => host.sysfs.read('class/infiniband/mlx5_0/ports/1/state')).toThrow(/use readSlow/);
    expect(text('class/infiniband/mlx5_0/ports/1/link_layer')).toBe('InfiniBand\n');
  });

  test('that is taken off the bus ends its calls with ENOENT', async () => {
    applyChange(host, ['wedge', DMA]);
    const first = vpd();
    applyChange(host, ['remove', DMA]);
    expect(await first).toMatchObject({ code: 'ENOENT' });
  });
});
