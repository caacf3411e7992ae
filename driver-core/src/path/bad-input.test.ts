// What a device, a file or the kernel may answer on a bad day: the path that it concerns has a reason that says what and where, and the others go on.
import { describe, expect, it } from 'vitest';

import type { PathReason } from '@data-direct/crds';

import { Errno, refused } from '../host/host.ts';
import type { Answer, Device, Files, Host } from '../host/host.ts';
import { applyChange } from '../virtual/changes.ts';
import { ManualClock } from '../virtual/clock.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { Observer } from './observe.ts';
import { withDoors } from '../host/with-doors.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';

/** The host, of whose files some read otherwise. */
function reading(host: VirtualHost, otherwise: (path: string) => Answer<Buffer> | undefined): Host {
  const { sysfs } = host;
  const files: Files = {
    list: (path) => sysfs.list(path),
    link: (path) => sysfs.link(path),
    identity: (path) => sysfs.identity(path),
    real: (path) => sysfs.real(path),
    read: (path) => otherwise(path) ?? sysfs.read(path),
    readSlow: async (path, device) => otherwise(path) ?? sysfs.readSlow(path, device),
  };
  return withDoors(host, { sysfs: files });
}

/** The host, whose kernel fills every output of the NIC's node with this. */
function answering(host: VirtualHost, filled: Buffer): Host {
  const openDevice: Host['openDevice'] = async (path, nic) => {
    const device = await host.openDevice(path, nic);
    if (refused(device) || nic !== NIC) return device;
    const lying: Device = {
      ioctl: async (_request, _bytes, pointers) => {
        for (const { target } of pointers) target.fill(filled);
        return 0;
      },
      close: () => device.close(),
    };
    return lying;
  };
  return withDoors(host, { openDevice });
}

interface Bad {
  readonly what: string;
  readonly reason: PathReason;
  /** In the sentence. */
  readonly says: string;
  readonly seen: (host: VirtualHost) => Host;
}

const vanished = (path: string): Errno => new Errno('ENOENT', 2, path);

const BAD: readonly Bad[] = [
  {
    what: 'a port whose state is no state',
    reason: 'PortDown',
    says: 'infiniband/mlx5_0/ports/1/state: expected a number and a state such as 4: ACTIVE, got "up, mostly"',
    seen: (host) =>
      reading(host, (path) => (path.endsWith('mlx5_0/ports/1/state') ? Buffer.from('up, mostly\n') : undefined)),
  },
  {
    what: 'a DMA function off the bus, whose VPD reads 0xff',
    reason: 'VpdUnreadable',
    says: `/sys/bus/pci/devices/${DMA}/vpd: VPD begins with 0xff: the function is in reset or off the bus`,
    seen: (host) => {
      applyChange(host, ['unbind', DMA]);
      return reading(host, (path) => (path.endsWith(`${DMA}/vpd`) ? Buffer.alloc(256, 0xff) : undefined));
    },
  },
  {
    what: 'a VPD that is cut off',
    reason: 'VpdUnreadable',
    says: `/sys/bus/pci/devices/${DMA}/vpd: VPD ends inside resource 0x82 at offset 0x03: 27 bytes announced, 17 present`,
    seen: (host) => {
      applyChange(host, ['unbind', DMA]);
      applyChange(host, ['vpd-truncate', DMA, '20']);
      return host;
    },
  },
  {
    what: 'a VPD that ends in EIO',
    reason: 'VpdUnreadable',
    says: 'EIO (5) at devices/',
    seen: (host) => {
      applyChange(host, ['unbind', DMA]);
      applyChange(host, ['vpd-unreadable', DMA]);
      return host;
    },
  },
  {
    what: 'a port whose state vanishes between readdir and read',
    reason: 'PortDown',
    says: `${NIC}/infiniband/mlx5_0/ports/1/state`,
    seen: (host) => reading(host, (path) => (path.endsWith('mlx5_0/ports/1/state') ? vanished(path) : undefined)),
  },
  {
    what: 'a port whose state is in no list',
    reason: 'PortDown',
    says: 'is MELTED, not ACTIVE',
    seen: (host) =>
      reading(host, (path) => (path.endsWith('mlx5_0/ports/1/state') ? Buffer.from('9: MELTED\n') : undefined)),
  },
  {
    what: 'a NIC that is half removed: its RDMA device has gone, its function not yet',
    reason: 'WaitingForDriver',
    says: NIC,
    seen: (host) => {
      applyChange(host, ['unbind', NIC]);
      return host;
    },
  },
  {
    what: 'a DMA function that goes while the round reads it',
    reason: 'NoDmaFunction',
    says: `the kernel pairs mlx5_0 (${NIC}) with ${DMA}, which sysfs does not show`,
    seen: (host) => reading(host, (path) => (path.endsWith(`${DMA}/modalias`) ? vanished(path) : undefined)),
  },
  {
    what: 'an answer that does not end where it should',
    reason: 'KernelRefused',
    says: 'GET_DATA_DIRECT_SYSFS_PATH on /dev/infiniband/uverbs0 answered EBADMSG (74)',
    seen: (host) => answering(host, Buffer.from('/devices/pci0009:00/')),
  },
  {
    what: 'an answer that names no function',
    reason: 'KernelRefused',
    says: 'EBADMSG (74)',
    seen: (host) => answering(host, Buffer.from('/devices/platform\0')),
  },
];

describe('bad input', () => {
  it.each(BAD)('$what: $reason on its path, and the others go on', async ({ reason, says, seen }) => {
    const intact = await new Observer(createVirtualHost(await loadFixture('gb300-tray'))).round();
    const paths = await new Observer(seen(createVirtualHost(await loadFixture('gb300-tray')))).round();
    expect(paths[0]).toMatchObject({ id: NIC, reason, message: expect.stringContaining(says) as string });
    expect(paths.slice(1)).toEqual(intact.slice(1));
  });

  it('of five functions that hang at once holds up their own paths only', async () => {
    const clock = new ManualClock();
    const host = createVirtualHost(await loadFixture('gb300-tray'), { clock, callBudgetMs: 5000 });
    for (const hanging of [NIC, DMA, '0002:03:00.0', '0008:03:00.0', '0010:03:00.0'])
      applyChange(host, ['wedge', hanging]);
    const round = new Observer(host).round();
    for (let turn = 0; turn < 500; turn++) await Promise.resolve();
    clock.advance(5000);
    const reasons = (await round).map(({ id, reason }) => [id, reason]);
    expect(Object.fromEntries(reasons)).toEqual({
      [NIC]: 'DeviceUnresponsive',
      '0002:03:00.0': 'DeviceUnresponsive',
      '0010:03:00.0': 'DeviceUnresponsive',
      '0012:03:00.0': 'Paired',
      '0016:03:00.0': 'NoDmaFunction',
    });
  });
});
