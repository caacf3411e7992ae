import type { PathReason } from '@data-direct/crds';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Files, Host } from '../host/host.ts';
import { withDoors } from '../host/with-doors.ts';
import { dumpOf } from '../cli/dump-file.ts';
import { readNode } from '../cli/node.ts';
import { chainOf } from '../pci/address.ts';
import type { Change } from '../virtual/changes.ts';
import { applyChange } from '../virtual/changes.ts';
import { ManualClock } from '../virtual/clock.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { VirtualError } from '../virtual/errors.ts';
import { parseFixture } from '../virtual/fixture.ts';
import { loadFixture } from '../virtual/load.ts';
import { FunctionObserver } from './observe-functions.ts';
import { Observer } from './observe.ts';
import type { Path } from './path.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';
const GPU = '0009:06:00.0';

async function tray(): Promise<VirtualHost> {
  return createVirtualHost(await loadFixture('gb300-tray'), { clock: new ManualClock() });
}

async function pathOf(observer: Observer, nic = NIC): Promise<Path> {
  const path = (await observer.round()).find(({ id }) => id === nic);
  if (!path) throw new Error(`no path of ${nic}`);
  return path;
}

function change(host: VirtualHost, ...changes: readonly Change[]): void {
  for (const one of changes) applyChange(host, one);
}

describe('a round on the GB300 tray', () => {
  it('pairs four NICs over PCI domains and leaves the BlueField out', async () => {
    const paths = await new Observer(await tray()).round();
    expect(paths.map(({ name, reason, dma, gpus }) => [name, reason, dma?.address, gpus[0]?.address])).toEqual([
      ['mlx5_0', 'Paired', '0009:03:00.0', '0009:06:00.0'],
      ['mlx5_1', 'Paired', '0008:03:00.0', '0008:06:00.0'],
      ['mlx5_2', 'Paired', '0019:03:00.0', '0019:06:00.0'],
      ['mlx5_3', 'Paired', '0018:03:00.0', '0018:06:00.0'],
      ['mlx5_4', 'NoDmaFunction', undefined, undefined],
    ]);
  });

  it.each(['None', 'Probe', 'Registration'] as const)('verifies as far as %s', async (verification) => {
    const [path] = await new Observer(await tray()).round({ verification });
    expect(path).toMatchObject({ reason: 'Paired', verified: verification });
  });
});

describe('a round on another machine', () => {
  it.each([
    ['dgx-station', [['mlx5_0', 'Paired', '0009:06:00.0']]],
    [
      'one-domain',
      [
        ['mlx5_0', 'Paired', '0000:08:00.0'],
        ['mlx5_1', 'Paired', '0000:0e:00.0'],
      ],
    ],
  ])('%s', async (fixture, expected) => {
    const paths = await new Observer(createVirtualHost(await loadFixture(fixture))).round();
    expect(paths.map(({ name, reason, gpus }) => [name, reason, gpus[0]?.address])).toEqual(expected);
  });

  it('on which two ports and a VF share one DMA function pairs all of them, and says of the other VF that it is off', async () => {
    const paths = await new Observer(createVirtualHost(await loadFixture('dual-port'))).round();
    expect(paths.map(({ id, nic, reason, dma }) => [id, nic.function, reason, dma?.address])).toEqual([
      ['0000:03:00.0', 'PF', 'Paired', '0009:03:00.0'],
      ['0000:03:00.1', 'PF', 'Paired', '0009:03:00.0'],
      ['0000:03:00.2', 'VF', 'Paired', '0009:03:00.0'],
      ['0000:03:00.3', 'VF', 'FunctionDisabled', undefined],
      ['0010:03:00.0', 'PF', 'Paired', '0019:03:00.0'],
      ['0010:03:00.1', 'PF', 'Paired', '0019:03:00.0'],
    ]);
    // A VF has neither model nor VPD of its own.
    expect(paths[2]).toMatchObject({ nic: { model: 'ConnectX-8' }, dma: { numaNode: 0 }, complex: paths[0]?.complex });
  });

  it('on which GPUs hang right below their root ports needs no DMA functions: the NUMA node says what belongs together', async () => {
    const paths = await new Observer(createVirtualHost(await loadFixture('gb200-cx7'))).round();
    expect(new Set(paths.map(({ reason }) => reason))).toEqual(new Set(['NotNeeded']));
    expect(paths.at(-1)?.gpus.map(({ address }) => address)).toEqual(['0018:01:00.0', '0019:01:00.0']);
  });

  it('without DMA functions, where NIC and GPU share a switch, needs none', async () => {
    const paths = await new Observer(createVirtualHost(await loadFixture('inline-b300'))).round();
    expect(new Set(paths.map(({ reason }) => reason))).toEqual(new Set(['NotNeeded']));
    expect(paths[0]?.gpus.map(({ address }) => address)).toEqual(['0000:06:00.0']);
  });
});

interface Fault {
  readonly reason: PathReason;
  readonly breaks: readonly Change[];
  readonly mends: readonly Change[];
}

/** What happens to one NIC, its DMA function or its GPU, and how it is undone. */
const FAULTS: readonly Fault[] = [
  { reason: 'DmaDriverNotBound', breaks: [['unbind', DMA]], mends: [['bind', DMA]] },
  { reason: 'NoDmaFunction', breaks: [['remove', DMA]], mends: [['add', DMA]] },
  {
    reason: 'NoDmaFunction',
    breaks: [
      ['unbind', DMA],
      ['vpd-set', DMA, 'VU', 'SOMEBODY ELSE'],
      ['bind', DMA],
    ],
    mends: [
      ['unbind', DMA],
      ['vpd-restore', DMA],
      ['bind', DMA],
    ],
  },
  {
    reason: 'VpdUnreadable',
    breaks: [
      ['unbind', DMA],
      ['vpd-truncate', DMA, '40'],
    ],
    mends: [
      ['vpd-restore', DMA],
      ['bind', DMA],
    ],
  },
  {
    reason: 'VpdUnreadable',
    breaks: [
      ['unbind', DMA],
      ['vpd-unreadable', DMA],
    ],
    mends: [
      ['vpd-restore', DMA],
      ['bind', DMA],
    ],
  },
  { reason: 'GpuNotFound', breaks: [['remove', GPU]], mends: [['add', GPU]] },
  { reason: 'IommuGroupMismatch', breaks: [['regroup', DMA, '77']], mends: [['regroup', DMA, '30']] },
  {
    reason: 'AcsMisconfigured',
    breaks: [['acs', '0009:02:00.0', '0011101']],
    mends: [['acs', '0009:02:00.0', '0011001']],
  },
  { reason: 'PortDown', breaks: [['port-down', NIC]], mends: [['port-up', NIC]] },
  { reason: 'WaitingForDriver', breaks: [['unbind', NIC]], mends: [['bind', NIC]] },
  { reason: 'VerbsNodeMissing', breaks: [['hide-uverbs', NIC]], mends: [['show-uverbs', NIC]] },
  { reason: 'DeviceUnresponsive', breaks: [['refuse', NIC, 'get-context', 'EAGAIN']], mends: [['allow', NIC]] },
  { reason: 'KernelRefused', breaks: [['refuse', NIC, 'get-context', 'EINVAL']], mends: [['allow', NIC]] },
  { reason: 'PairingUnverified', breaks: [['refuse', NIC, 'open', 'EACCES']], mends: [['allow', NIC]] },
  {
    reason: 'KernelTooOld',
    breaks: [['refuse', NIC, 'path', 'EPROTONOSUPPORT']],
    mends: [['allow', NIC]],
  },
  { reason: 'RegistrationFailed', breaks: [['refuse', NIC, 'register', 'EOPNOTSUPP']], mends: [['allow', NIC]] },
  {
    reason: 'FunctionDisabled',
    breaks: [
      ['vuid', NIC, 'none'],
      ['unbind', NIC],
      ['bind', NIC],
    ],
    mends: [
      ['vuid', NIC, 'VT2547VIRT001MLNXDATADIRECT0'],
      ['unbind', NIC],
      ['bind', NIC],
    ],
  },
  {
    reason: 'FunctionDisabled',
    breaks: [
      ['capability', NIC, 'query_vuid', 'off'],
      ['unbind', NIC],
      ['bind', NIC],
    ],
    mends: [
      ['capability', NIC, 'query_vuid', 'on'],
      ['unbind', NIC],
      ['bind', NIC],
    ],
  },
];

/** What the NIC's firmware names from now on; the kernel asks at its probe. */
const relabel = (vuid: string): Change[] => [
  ['unbind', NIC],
  ['vuid', NIC, vuid],
  ['bind', NIC],
];
const withFwctl = async (): Promise<VirtualHost> => {
  const fixture = await loadFixture('gb300-tray');
  return createVirtualHost({ ...fixture, extension: { ...fixture.extension!, fwctl: true } });
};

describe('the firmware', () => {
  it('is not asked while the kernel’s answers leave nothing open, at no level', async () => {
    const host = await tray();
    const { counted, counts } = counting(host);
    for (const verification of ['None', 'Probe', 'Registration'] as const)
      await new Observer(counted).round({ verification });
    // One open for each of the four NICs and levels; the fifth has no data direct.
    expect(counts.opened).toHaveLength(12);
  });

  it('tells a NIC that can have data direct but finds no such DMA function from one that cannot', async () => {
    const host = await tray();
    change(host, ...relabel('VT2547VIRT999MLNXDATADIRECT0'));
    const { reason, message } = await pathOf(new Observer(host));
    expect(reason).toBe('NoDmaFunction');
    expect(message).toContain('can have data direct, but none of the DMA functions');
    expect(message).toContain('VT2547VIRT999MLNXDATADIRECT0');

    change(host, ...relabel('none'));
    const off = await pathOf(new Observer(host));
    expect(off.reason).toBe('FunctionDisabled');
    expect(off.message).toContain('PF mlx5_0 (0000:03:00.0): its firmware shows capability data_direct as 0');
  });

  it('names the DMA function that has no driver, where a serial would fit several', async () => {
    const host = await tray();
    const { complex } = await pathOf(new Observer(host));
    change(host, ['vpd-set', '0008:03:00.0', 'V3', complex ?? ''], ['unbind', DMA], ['unbind', '0008:03:00.0']);
    expect(await pathOf(new Observer(host))).toMatchObject({
      reason: 'DmaDriverNotBound',
      evidence: 'FirmwareVuid',
      dma: { address: DMA },
    });
  });

  it('that refuses leaves everything as it was known without it, and says so', async () => {
    const host = await tray();
    change(host, ...relabel('VT2547VIRT999MLNXDATADIRECT0'), ['firmware-refuse', NIC, 'query_vuid', '0x02']);
    const { reason, message } = await pathOf(new Observer(host));
    expect(reason).toBe('NoDmaFunction');
    expect(message).toContain(
      'its firmware could not be asked: QUERY_VUID answered EREMOTEIO (121): firmware status 0x2',
    );
  });

  it('is asked through fwctl where the uverbs node is closed to us, and known by that not to be a guess', async () => {
    const host = await withFwctl();
    change(host, ['refuse', NIC, 'open', 'EACCES']);
    const { reason, evidence, dma, message } = await pathOf(new Observer(host));
    expect({ reason, evidence, dma: dma?.address }).toEqual({
      reason: 'PairingUnverified',
      evidence: 'FirmwareVuid',
      dma: DMA,
    });
    expect(message).toContain('only the VUID of its firmware pairs mlx5_0');
  });

  it('says whether it is crossing_vhca_mkey that a registration lacks', async () => {
    const host = await tray();
    change(host, ['capability', NIC, 'crossing_vhca_mkey', 'off']);
    const failed = (await new Observer(host).round({ verification: 'Registration' }))[0];
    expect(failed).toMatchObject({ reason: 'RegistrationFailed', verified: 'Probe' });
    expect(failed?.message).toContain('the firmware shows capability crossing_vhca_mkey as 0');
    change(host, ['capability', NIC, 'crossing_vhca_mkey', 'on'], ['refuse', NIC, 'register', 'EOPNOTSUPP']);
    // The probe fails first, so nothing is asked of the registration.
    expect((await pathOf(new Observer(host))).message).toContain('CONFIG_INFINIBAND_ON_DEMAND_PAGING');
  });

  it('names one VUID that two DMA functions have: the path is ambiguous unless the kernel has chosen', async () => {
    const host = await tray();
    const twin = '0019:03:00.0';
    change(host, ['unbind', twin], ['vpd-set', twin, 'VU', 'VT2547VIRT001MLNXDATADIRECT0'], ['bind', twin]);
    expect(await pathOf(new Observer(host))).toMatchObject({ reason: 'EvidenceConflict', dma: { address: twin } });
    change(host, ['unbind', twin], ['unbind', DMA]);
    const both = await pathOf(new Observer(host));
    expect(both.reason).toBe('PairingAmbiguous');
    expect(both.message).toContain(`which ${DMA}, ${twin} have alike`);
  });

  it('is asked once as long as nothing happens to the NIC, and again after a refusal', async () => {
    const host = await tray();
    change(host, ...relabel('none'));
    const { counted, counts } = counting(host);
    const observer = new Observer(counted);
    const opens = async (): Promise<number> => {
      counts.opened.length = 0;
      await observer.round({ trigger: { kind: 'rescan' } });
      return counts.opened.filter((device) => device === NIC).length;
    };
    expect(await opens()).toBe(2);
    expect(await opens()).toBe(1);
    change(host, ...relabel('VT2547VIRT999MLNXDATADIRECT0'), ['firmware-refuse', NIC, 'query_vuid', '0x02']);
    await observer.round({ trigger: { kind: 'uevents', functions: [NIC] } });
    expect(await opens()).toBe(2);
    change(host, ['firmware-refuse', NIC, 'query_vuid', 'good']);
    expect(await opens()).toBe(2);
    expect(await opens()).toBe(1);
  });

  it('of a NIC that hangs is left in peace', async () => {
    const host = await tray();
    change(host, ['refuse', NIC, 'get-context', 'EAGAIN']);
    const { counted, counts } = counting(host);
    await new Observer(counted).round();
    expect(counts.opened.filter((device) => device === NIC)).toHaveLength(1);
  });
});

describe('a fault', () => {
  it.each(FAULTS)('is $reason on its own path only ($breaks), and heals', async ({ reason, breaks, mends }) => {
    const host = await tray();
    const observer = new Observer(host);
    const before = await observer.round();

    change(host, ...breaks);
    const broken = await observer.round();
    expect(broken[0]).toMatchObject({ id: NIC, reason });
    expect(broken.slice(1)).toEqual(before.slice(1));

    change(host, ...mends);
    expect(await observer.round()).toEqual(before);
  });

  it('of a device that hangs does not keep the others waiting', async () => {
    const clock = new ManualClock();
    const host = createVirtualHost(await loadFixture('gb300-tray'), { clock, callBudgetMs: 5000 });
    const observer = new Observer(host);
    change(host, ['wedge', NIC]);
    const round = observer.round();
    for (let turn = 0; turn < 200; turn++) await Promise.resolve();
    clock.advance(5000);
    const reasons = (await round).map(({ reason }) => reason);
    expect(reasons).toEqual(['DeviceUnresponsive', 'Paired', 'Paired', 'Paired', 'NoDmaFunction']);
    change(host, ['unwedge', NIC]);
    expect(await pathOf(observer)).toMatchObject({ reason: 'Paired' });
  });

  it('that leaves two DMA functions with one serial is ambiguous only as long as the kernel is not heard', async () => {
    const host = await tray();
    const observer = new Observer(host);
    const serial = (await pathOf(observer)).complex ?? '';
    change(host, ['vpd-set', '0008:03:00.0', 'V3', serial]);
    change(host, ['refuse', NIC, 'open', 'EACCES']);
    const ambiguous = await pathOf(new Observer(host));
    expect(ambiguous).toMatchObject({ reason: 'PairingAmbiguous', dma: undefined });
    expect(ambiguous.message).toContain('0008:03:00.0, 0009:03:00.0');
    change(host, ['allow', NIC]);
    expect(await pathOf(new Observer(host))).toMatchObject({ reason: 'Paired', dma: { address: DMA } });
  });

  it('of the network namespaces is told apart from a missing permission', async () => {
    const host = await tray();
    change(host, ['rdma-namespaces', 'exclusive']);
    expect(await pathOf(new Observer(host))).toMatchObject({ reason: 'RdmaNamespaceExclusive' });
  });
});

/** Counts what reaches a device. */
function counting(host: Host) {
  const counts = {
    opened: [] as string[],
    vpdRead: [] as string[],
    configRead: [] as string[],
    stateRead: [] as string[],
  };
  const counted = withDoors(host, {
    openDevice: (path, device) => {
      counts.opened.push(device);
      return host.openDevice(path, device);
    },
    sysfs: {
      ...host.sysfs,
      readSlow: (path, device) => {
        if (path.endsWith('/vpd')) counts.vpdRead.push(device);
        if (path.endsWith('/config')) counts.configRead.push(device);
        if (path.endsWith('/state')) counts.stateRead.push(device);
        return host.sysfs.readSlow(path, device);
      },
    },
  });
  return { counts, counted };
}

describe('what reaches a device', () => {
  it('is not asked of a BlueField at all, nor of anything on a node without DMA functions', async () => {
    const host = await tray();
    const { counts, counted } = counting(host);
    await new Observer(counted).round();
    expect(counts.opened).not.toContain('0016:03:00.0');
    expect(counts.vpdRead).not.toContain('0016:03:00.0');

    change(host, ...['0009', '0008', '0019', '0018'].map((domain) => ['remove', `${domain}:03:00.0`]));
    counts.opened.length = 0;
    await new Observer(counted).round();
    expect(counts.opened).toEqual([]);
  });

  it('is left alone by events that concern nobody', async () => {
    const { counts, counted } = counting(await tray());
    const observer = new Observer(counted);
    const before = await observer.round();
    counts.opened.length = 0;
    counts.vpdRead.length = 0;
    counts.configRead.length = 0;
    counts.stateRead.length = 0;
    expect(await observer.round({ trigger: { kind: 'uevents', functions: ['0009:06:00.0'] } })).toEqual(before);
    expect(counts).toEqual({ opened: [], vpdRead: [], configRead: [], stateRead: [] });
  });

  it('is asked of the ports that are said to have changed, and of no other', async () => {
    const host = await tray();
    const { counts, counted } = counting(host);
    const observer = new Observer(counted);
    await observer.round();
    counts.stateRead.length = 0;
    change(host, ['port-down', NIC]);
    const [path] = await observer.round({ trigger: { kind: 'ports', functions: [NIC] } });
    expect(path).toMatchObject({ reason: 'PortDown' });
    expect(counts.stateRead).toEqual([NIC]);
  });

  it('is asked again at a rescan, without reading any VPD again', async () => {
    const { counts, counted } = counting(await tray());
    const observer = new Observer(counted);
    await observer.round();
    counts.opened.length = 0;
    counts.vpdRead.length = 0;
    await observer.round({ trigger: { kind: 'rescan' } });
    expect(counts.opened).toHaveLength(4);
    expect(counts.vpdRead).toEqual([]);
  });

  it('is asked again once the driver of a DMA function is done, however early its link in sysfs was seen', async () => {
    const host = await tray();
    const observer = new Observer(host);
    const uevent = { kind: 'uevents', functions: [DMA] } as const;
    const reasonAfter = async (...changes: readonly Change[]): Promise<unknown> => {
      change(host, ...changes);
      return (await observer.round({ trigger: uevent })).find(({ id }) => id === NIC)?.reason;
    };
    expect(await reasonAfter(['refuse', NIC, 'path', 'ENODEV'])).not.toBe('Paired');
    expect(await reasonAfter(['allow', NIC])).toBe('Paired');
    expect(await reasonAfter(['refuse', NIC, 'path', 'ENODEV'])).not.toBe('Paired');
  });

  it('is left alone at a rescan by whoever verifies at an interval of its own', async () => {
    const host = await tray();
    const { counts, counted } = counting(host);
    const observer = new Observer(counted);
    await observer.round();
    counts.opened.length = 0;
    await observer.round({ trigger: { kind: 'rescan' }, reverify: false });
    expect(counts.opened).toEqual([]);
    await observer.round({ trigger: { kind: 'uevents', functions: [] }, reverify: true });
    expect(counts.opened).toHaveLength(4);
  });

  it('is read anew where an event, a driver or a gap speaks of it', async () => {
    const host = await tray();
    const { counts, counted } = counting(host);
    const observer = new Observer(counted);
    await observer.round();

    counts.vpdRead.length = 0;
    await observer.round({ trigger: { kind: 'uevents', functions: [DMA] } });
    expect(counts.vpdRead).toEqual([DMA]);

    counts.vpdRead.length = 0;
    change(host, ['unbind', DMA]);
    await observer.round();
    expect(counts.vpdRead).toEqual([DMA]);

    counts.vpdRead.length = 0;
    await observer.round({ trigger: { kind: 'gap' } });
    expect(counts.vpdRead).toHaveLength(8);
  });

  it('is read once of a PF however many VFs share its VPD, also while one of them has no driver', async () => {
    const host = createVirtualHost(await loadFixture('dual-port'));
    const { counted, counts } = counting(host);
    const observer = new Observer(counted);
    const paths = await observer.round();
    expect(paths.filter(({ nic }) => nic.function === 'VF')).toHaveLength(2);
    expect(counts.vpdRead.filter((device) => device === '0000:03:00.0')).toHaveLength(1);

    change(host, ['unbind', '0000:03:00.2']);
    counts.vpdRead.length = 0;
    await observer.round({ trigger: { kind: 'uevents', functions: ['0000:03:00.2'] } });
    await observer.round({ trigger: { kind: 'rescan' } });
    expect(counts.vpdRead).toEqual([]);
  });

  it('is tried again in the next round where a VPD could not be read', async () => {
    const host = await tray();
    change(host, ['vpd-unreadable', DMA]);
    const { counted, counts } = counting(host);
    const observer = new Observer(counted);
    await observer.round();
    counts.vpdRead.length = 0;
    await observer.round({ trigger: { kind: 'rescan' } });
    expect(counts.vpdRead).toEqual([DMA]);
  });

  it('is read anew of ports at a rescan, because ACS changes without an event', async () => {
    const host = await tray();
    const observer = new Observer(host);
    await observer.round();
    change(host, ['acs', '0009:02:00.0', '0011101']);
    const [unaware] = await observer.round({ trigger: { kind: 'uevents', functions: [] } });
    expect(unaware).toMatchObject({ reason: 'Paired' });
    const [aware] = await observer.round({ trigger: { kind: 'rescan' } });
    expect(aware).toMatchObject({ reason: 'AcsMisconfigured' });
  });

  it('is asked again when a DMA function comes or goes, even if its event was for another NIC', async () => {
    const host = await tray();
    const observer = new Observer(host);
    await observer.round();
    change(host, ['unbind', DMA]);
    const [path] = await observer.round({ trigger: { kind: 'uevents', functions: [] } });
    expect(path).toMatchObject({ reason: 'DmaDriverNotBound' });
  });
});

describe('a NIC with a second RDMA device, for subnet management', () => {
  it.each(['aa_smi', 'smi1'])(
    'called %s is known by the one that has the uverbs node, and lends no umad of the other',
    async (name) => {
      const host = await tray();
      const before = await pathOf(new Observer(host));
      change(host, ['smi-add', 'mlx5_0', name]);
      expect(host.sysfs.list('class/infiniband_mad')).toHaveLength(before.nic.umad.length + 9);
      const observer = new Observer(host);
      expect(await pathOf(observer)).toEqual(before);
      change(host, ['smi-remove', name]);
      expect(await pathOf(observer)).toEqual(before);
    },
  );

  it('is dumped so that the same one is its RDMA device when the dump is a node again', async () => {
    const host = await tray();
    change(host, ['smi-add', 'mlx5_0', 'aa_smi']);
    const dumped = JSON.stringify(await dumpOf(host, await readNode(host, 'None')));
    const again = createVirtualHost(parseFixture('dump', JSON.parse(dumped)));
    expect(again.sysfs.list('class/infiniband')).toContain('aa_smi');
    expect(await new Observer(again).round()).toEqual(await new Observer(host).round());
  });
});

/** Each may be refused by the machine as it stands, such as to bind what is bound. */
const STEPS: readonly Change[] = [
  ...[NIC, DMA].flatMap((address): Change[] => [
    ['unbind', address],
    ['bind', address],
  ]),
  ...[NIC, DMA, GPU].flatMap((address): Change[] => [
    ['remove', address],
    ['add', address],
  ]),
  ['port-down', NIC],
  ['port-up', NIC],
];

/** Of the functions that the kernel has told of since the last time. */
function listening(host: VirtualHost, signal: AbortSignal): () => Promise<string[]> {
  let functions: string[] = [];
  const events = host.uevents(signal);
  void (async () => {
    for await (const event of events) if (event.kind === 'event') functions.push(...chainOf(event.devpath).slice(-1));
  })();
  return async () => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    const told = functions;
    functions = [];
    return told;
  };
}

describe('a round that events asked for', () => {
  it('sees what a round sees that knows nothing yet, whatever has happened and in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 12 }), async (steps) => {
        const host = await tray();
        const stop = new AbortController();
        const told = listening(host, stop.signal);
        const kept = new Observer(host);
        await kept.round();
        for (const step of steps) {
          try {
            change(host, step);
          } catch (error) {
            if (!(error instanceof VirtualError)) throw error;
          }
          // A port changes without a sound; follow.ts looks, and tells in the same way.
          const kind = step[0]?.startsWith('port') ? 'ports' : 'uevents';
          const functions = kind === 'ports' ? [NIC] : await told();
          expect(await kept.round({ trigger: { kind, functions } })).toEqual(await new Observer(host).round());
        }
        stop.abort();
      }),
      { seed: 20_261_122, numRuns: 40 },
    );
  });
});

describe('a rescan', () => {
  it('finds without any event whatever has happened, in whatever order', async () => {
    const unheard: readonly Change[] = [...STEPS, ['regroup', GPU, '7'], ['regroup', NIC, '8']];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...unheard), { minLength: 1, maxLength: 12 }), async (steps) => {
        const host = await tray();
        const kept = new Observer(host);
        for (const step of steps) {
          await kept.round({ trigger: { kind: 'rescan' } });
          try {
            change(host, step);
          } catch (error) {
            if (!(error instanceof VirtualError)) throw error;
          }
        }
        expect(await kept.round({ trigger: { kind: 'rescan' } })).toEqual(await new Observer(host).round());
      }),
      { seed: 20_261_122, numRuns: 40 },
    );
  });

  it('finds another kind of function where one was: only what still has the driver link that it had is known', async () => {
    const { sysfs } = await tray();
    const { functions } = new FunctionObserver(sysfs).observe();
    const path = functions.find(({ address }) => address === NIC)?.path ?? '';
    let swapped = false;
    const observer = new FunctionObserver(swapping(sysfs, path, () => swapped));
    expect(observer.observe().nics.map(({ id }) => id)).toContain(NIC);
    swapped = true;
    observer.forget({ kind: 'rescan' });
    expect(observer.observe().nics.map(({ id }) => id)).not.toContain(NIC);
  });
});

/** A bridge in place of the function at the path, with a driver of its own. */
function swapping(sysfs: Files, path: string, swapped: () => boolean): Files {
  return {
    list: (at) => sysfs.list(at),
    link: (at) => sysfs.link(at),
    real: (at) => sysfs.real(at),
    readSlow: (at, device) => sysfs.readSlow(at, device),
    identity: (at) => (swapped() && at === `${path}/driver` ? 'another' : sysfs.identity(at)),
    read: (at) =>
      swapped() && at === `${path}/modalias`
        ? Buffer.from('pci:v000015B3d00001976sv00000000sd00000000bc06sc04i00\n')
        : sysfs.read(at),
  };
}
