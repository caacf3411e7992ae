// Every errno of the pairing ioctl and of a data direct registration, in the order in which the kernel checks (drivers/infiniband/core/uverbs_ioctl.c,
// uverbs_std_types_mr.c, umem_dmabuf.c, drivers/infiniband/hw/mlx5/{std_types,mr}.c): what provokes it, and what somebody who looks at the path is told.
import { beforeEach, describe, expect, it } from 'vitest';

import { refused } from '../../host/host.ts';
import type { Device } from '../../host/host.ts';
import { Observer } from '../../path/observe.ts';
import { applyChange } from '../changes.ts';
import type { Change } from '../changes.ts';
import type { HostExtension } from '../fixture.ts';
import { createVirtualHost } from '../host.ts';
import type { VirtualHost } from '../host.ts';
import { loadFixture } from '../load.ts';
import type { Wanted } from './raw.fixture.ts';
import { allocPd, getContext, ioctl, PAGE, path, register, u64 } from './raw.fixture.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';
const GPU = '0009:06:00.0';

interface Machine {
  readonly host: VirtualHost;
  /** Open, with a context and protection domain 0. */
  readonly device: Device;
  /** A DMABUF of one page. */
  readonly memory: number;
}

interface Row {
  readonly when: string;
  readonly errno: string;
  readonly ask: (machine: Machine) => Promise<string | 0>;
  readonly node?: Partial<HostExtension>;
  /** Before anything is opened. */
  readonly breaks?: readonly Change[];
  /** The path's reason, and words of its message, where one round with a real registration meets this. */
  readonly told?: readonly [reason: string, words: string];
}

const asked = async (got: Promise<{ readonly answer: string | 0 }>): Promise<string | 0> => (await got).answer;
const pairing = ({ device }: Machine) => asked(path(device));
const registering = (wanted: Wanted) => (machine: Machine) => asked(register(machine.device, wanted));
const registeringMemory = ({ device, memory }: Machine) => asked(register(device, { fd: memory }));
/** After something that happens while the file is open. */
const after =
  (change: Change, ask: Row['ask']): Row['ask'] =>
  (machine) => {
    applyChange(machine.host, change);
    return ask(machine);
  };

async function opened(host: VirtualHost, node = 'uverbs0', nic = NIC): Promise<Device> {
  const device = await host.openDevice(`/dev/infiniband/${node}`, nic);
  if (refused(device)) throw new Error(device.code);
  return device;
}

const RXE = 14;
/** On a software device, with or without a context. */
const onRxe =
  (method: number, attributes: Parameters<typeof ioctl>[3], object = 0): Row['ask'] =>
  async ({ host }) => {
    const rxe = await opened(host, 'uverbs5', 'rxe0');
    return asked(ioctl(rxe, object, method, attributes, { driver: RXE }));
  };
const rebound = (...changes: readonly Change[]): Change[] => [['unbind', NIC], ...changes, ['bind', NIC]];
const out = { id: 0x1000, target: Buffer.alloc(4096) };

const PAIRING: readonly Row[] = [
  { when: 'the device was removed while the file is open', errno: 'EIO', ask: after(['unbind', NIC], pairing) },
  {
    when: 'the call is meant for another driver',
    errno: 'EINVAL',
    ask: ({ device }) => asked(ioctl(device, 0, 0x1001, [out], { driver: RXE })),
  },
  {
    when: 'the driver is rdma_rxe',
    errno: 'EPROTONOSUPPORT',
    breaks: [['rxe-add', 'rxe0']],
    ask: onRxe(0x1001, [out]),
  },
  {
    when: 'the kernel is older than 6.12',
    errno: 'EPROTONOSUPPORT',
    node: { kernelRelease: '6.8.0-1021-generic' },
    ask: pairing,
    told: ['KernelTooOld', 'Linux 6.12'],
  },
  { when: 'there was no GET_CONTEXT', errno: 'EINVAL', ask: async ({ host }) => asked(path(await opened(host))) },
  {
    when: 'the DMA function is not bound',
    errno: 'ENODEV',
    breaks: [['unbind', DMA]],
    ask: pairing,
    told: ['DmaDriverNotBound', DMA],
  },
  {
    when: 'the NIC lacks the capability',
    errno: 'ENODEV',
    breaks: rebound(['vuid', NIC, 'none']),
    ask: pairing,
    told: ['FunctionDisabled', 'data_direct as 0'],
  },
  {
    when: 'the NIC cannot be asked for a VUID',
    errno: 'ENODEV',
    breaks: rebound(['capability', NIC, 'query_vuid', 'off']),
    ask: pairing,
    told: ['FunctionDisabled', 'query_vuid as 0'],
  },
  {
    when: 'the VUID is not equal to the last letter',
    errno: 'ENODEV',
    breaks: rebound(['vuid', NIC, 'vt2547virt001mlnxdatadirect0']),
    ask: pairing,
    told: ['NoDmaFunction', 'vt2547virt001mlnxdatadirect0'],
  },
  {
    when: 'there is no memory for the answer',
    errno: 'ENOMEM',
    breaks: [['refuse', NIC, 'path', 'ENOMEM']],
    ask: pairing,
    told: ['KernelRefused', 'no memory'],
  },
  { when: 'the buffer is too short', errno: 'ENOSPC', ask: ({ device }) => asked(path(device, 5)) },
  {
    when: 'the buffer of PATH_MAX is too short',
    errno: 'ENOSPC',
    breaks: [['refuse', NIC, 'path', 'ENOSPC']],
    ask: pairing,
    told: ['KernelRefused', 'longer than PATH_MAX'],
  },
];

const gpuMemory: Row['ask'] = async ({ host, device }) => {
  const dmabuf = await host.gpuDmabuf(GPU, Number(PAGE));
  return asked(register(device, { fd: refused(dmabuf) ? -1 : dmabuf.fd }));
};
const REGISTER = [{ id: 0 }, { id: 1 }, { id: 7, target: Buffer.alloc(4) }, { id: 8, target: Buffer.alloc(4) }];
const REGISTER_RXE = [
  ...REGISTER,
  ...[2, 3, 4].map((id) => ({ id, ...u64(0n) })),
  { id: 5, length: 4, data: 0n },
  { id: 6, length: 4, data: 1n },
];

/** Context and protection domain on rxe, then the registration. */
const registeringOnRxe =
  (more: Parameters<typeof ioctl>[3]): Row['ask'] =>
  async ({ host }) => {
    const rxe = await opened(host, 'uverbs5', 'rxe0');
    const header = { driver: RXE };
    await ioctl(rxe, 0, 3, [], header);
    await ioctl(
      rxe,
      0,
      0,
      [
        { id: 2, ...u64(3n) },
        { id: 0, ...u64(0n) },
        { id: 1, target: Buffer.alloc(4) },
      ],
      header,
    );
    return asked(ioctl(rxe, 7, 4, [...REGISTER_RXE, ...more], header));
  };

const REGISTRATION: readonly Row[] = [
  {
    when: 'the driver registers no DMABUFs (rdma_rxe)',
    errno: 'EOPNOTSUPP',
    breaks: [['rxe-add', 'rxe0']],
    ask: registeringOnRxe([]),
  },
  {
    when: 'the driver does not know the flag, sent MANDATORY',
    errno: 'EPROTONOSUPPORT',
    breaks: [['rxe-add', 'rxe0']],
    ask: registeringOnRxe([{ id: 0x1000, flags: 1, length: 4, data: 1n }]),
  },
  { when: 'offset and iova differ within the page', errno: 'EINVAL', ask: registering({ offset: 4096n }) },
  { when: 'on-demand paging is asked for', errno: 'EINVAL', ask: registering({ access: 0x41 }) },
  { when: 'remote write without local write', errno: 'EINVAL', ask: registering({ access: 0x2 }) },
  { when: 'remote atomic without local write', errno: 'EINVAL', ask: registering({ access: 0x8 }) },
  {
    when: 'the kernel has no on-demand paging',
    errno: 'EOPNOTSUPP',
    node: { onDemandPaging: false },
    ask: registeringMemory,
    told: ['RegistrationFailed', 'CONFIG_INFINIBAND_ON_DEMAND_PAGING'],
  },
  { when: 'a flag of mlx5 is unknown', errno: 'EINVAL', ask: registering({ dataDirect: 2 }) },
  {
    when: 'UMR cannot load so many pages',
    errno: 'EINVAL',
    breaks: [['capability', NIC, 'umr_extended_translation_offset', 'off']],
    ask: registering({ length: 65_536n * PAGE }),
  },
  {
    when: 'the iova is not aligned to the page',
    errno: 'EOPNOTSUPP',
    ask: registering({ offset: 4096n, iova: 4096n }),
  },
  { when: 'no DMA function is bound', errno: 'EINVAL', ask: after(['unbind', DMA], registeringMemory) },
  { when: 'offset + length overflows', errno: 'EINVAL', ask: registering({ offset: 2n ** 64n - PAGE, length: PAGE }) },
  { when: 'the descriptor is not open', errno: 'EBADF', ask: registering({ fd: -1 }) },
  { when: 'the descriptor is no DMABUF', errno: 'EINVAL', ask: registering({ fd: 0 }) },
  {
    when: 'the DMABUF is smaller',
    errno: 'EINVAL',
    ask: ({ device, memory }) => asked(register(device, { fd: memory, length: 2n * PAGE })),
  },
  {
    when: 'the length is 0',
    errno: 'EINVAL',
    ask: ({ device, memory }) => asked(register(device, { fd: memory, length: 0n })),
  },
  {
    when: 'the GPU is in another iommu group than the DMA function',
    errno: 'ENOTSUPP',
    breaks: [['regroup', DMA, '99']],
    ask: gpuMemory,
    told: ['IommuGroupMismatch', 'errno 524'],
  },
  {
    when: 'the NIC has no crossing_vhca_mkey',
    errno: 'EOPNOTSUPP',
    breaks: [['capability', NIC, 'crossing_vhca_mkey', 'off']],
    ask: registeringMemory,
    told: ['RegistrationFailed', 'crossing_vhca_mkey as 0'],
  },
  {
    when: 'the RDMA cgroup grants no more',
    errno: 'EAGAIN',
    ask: after(['rdma-limit', '2'], registeringMemory),
  },
];

const OTHERS: readonly Row[] = [
  // Command 11 is REREG_MR. Of an ordinary region the kernel would do it; here it is offered for none.
  {
    when: 'a data direct region is registered anew in place',
    errno: 'EOPNOTSUPP',
    ask: ({ device }) =>
      asked(
        ioctl(device, 0, 0, [
          { id: 2, ...u64(11n) },
          { id: 0, ...u64(0n) },
          { id: 1, target: Buffer.alloc(4) },
        ]),
      ),
  },
  {
    when: 'a protection domain is destroyed as a region',
    errno: 'EINVAL',
    ask: ({ device }) => asked(ioctl(device, 7, 1, [{ id: 0, flags: 1, data: 0n }])),
  },
  {
    when: 'a region is destroyed that is not there',
    errno: 'ENOENT',
    ask: ({ device }) => asked(ioctl(device, 7, 1, [{ id: 0, flags: 1, data: 99n }])),
  },
  { when: 'GET_CONTEXT is called twice', errno: 'EINVAL', ask: ({ device }) => asked(getContext(device)) },
  {
    when: 'the device belongs to another network namespace',
    errno: 'EPERM',
    ask: after(['rdma-namespaces', 'exclusive'], async ({ host }) => {
      const device = await host.openDevice('/dev/infiniband/uverbs0', NIC);
      return refused(device) ? device.code : 0;
    }),
  },
];

async function nodeOf({ node, breaks = [] }: Row): Promise<VirtualHost> {
  const fixture = await loadFixture('gb300-tray');
  const host = createVirtualHost({ ...fixture, extension: { ...fixture.extension!, ...node } });
  for (const change of breaks) applyChange(host, change);
  return host;
}

describe.each([
  ['GET_DATA_DIRECT_SYSFS_PATH', PAIRING],
  ['REG_DMABUF_MR', REGISTRATION],
  ['another call', OTHERS],
])('%s', (_call, rows) => {
  it.each(rows)('is $errno when $when', async (row) => {
    const host = await nodeOf(row);
    const device = await opened(host);
    await getContext(device);
    await allocPd(device);
    const dmabuf = await host.dmabuf(Number(PAGE));
    if (refused(dmabuf)) throw new Error(dmabuf.code);
    expect(await row.ask({ host, device, memory: dmabuf.fd })).toBe(row.errno);
  });

  it.each(rows.filter(({ told }) => told !== undefined))('tells who looks at the path when $when', async (row) => {
    const [reason, words] = row.told ?? [];
    const paths = await new Observer(await nodeOf(row)).round({ verification: 'Registration' });
    expect(paths.find(({ id }) => id === NIC)).toMatchObject({
      reason,
      message: expect.stringContaining(words ?? '') as string,
    });
  });
});

it('checks in the kernel’s order: what is wrong in many ways is told the first of them, whatever is mended in between', async () => {
  const host = await nodeOf({ when: '', errno: '', ask: pairing, node: { onDemandPaging: false } });
  applyChange(host, ['capability', NIC, 'crossing_vhca_mkey', 'off']);
  applyChange(host, ['unbind', DMA]);
  const device = await opened(host);
  await getContext(device);
  await allocPd(device);
  let wanted: Wanted = { offset: 4096n, iova: 0n, access: 0x42, dataDirect: 3, length: 2n ** 64n - PAGE };
  const answer = async (mended: Wanted): Promise<string | 0> => {
    wanted = { ...wanted, ...mended };
    return asked(register(device, wanted));
  };
  expect(await answer({})).toBe('EINVAL'); // offset and iova
  expect(await answer({ iova: 4096n })).toBe('EINVAL'); // on-demand paging asked for
  expect(await answer({ access: 0x2 })).toBe('EINVAL'); // remote write alone
  expect(await answer({ access: 0xf })).toBe('EOPNOTSUPP'); // a kernel without on-demand paging
});

it('checks alignment before the DMA function, that before the descriptor, its size before the exporter, and that before the firmware', async () => {
  const host = await nodeOf({ when: '', errno: '', ask: pairing });
  for (const change of [
    ['capability', NIC, 'crossing_vhca_mkey', 'off'],
    ['regroup', DMA, '99'],
    ['unbind', DMA],
  ])
    applyChange(host, change);
  const device = await opened(host);
  await getContext(device);
  await allocPd(device);
  const dmabuf = await host.gpuDmabuf(GPU, Number(PAGE));
  if (refused(dmabuf)) throw new Error(dmabuf.code);
  const wrong: Wanted = { offset: 4096n, iova: 4096n, fd: -1, length: 2n * PAGE, dataDirect: 3 };
  const answers: (string | 0)[] = [];
  for (const [wanted, change] of [
    [wrong],
    [{ ...wrong, dataDirect: 1 }],
    [{ ...wrong, dataDirect: 1, offset: 0n, iova: 0n }],
    [{ fd: -1, length: 2n * PAGE }, ['bind', DMA]],
    [{ fd: dmabuf.fd, length: 2n * PAGE }],
    [{ fd: dmabuf.fd }],
    [{ fd: dmabuf.fd }, ['regroup', DMA, '30']],
    [{ fd: dmabuf.fd }, ['capability', NIC, 'crossing_vhca_mkey', 'on']],
  ] as [Wanted, Change?][]) {
    if (change) applyChange(host, change);
    answers.push(await asked(register(device, wanted)));
  }
  expect(answers).toEqual(['EINVAL', 'EOPNOTSUPP', 'EINVAL', 'EBADF', 'EINVAL', 'ENOTSUPP', 'EOPNOTSUPP', 0]);
});

describe('a path', () => {
  let host: VirtualHost;
  beforeEach(async () => {
    host = createVirtualHost(await loadFixture('gb300-tray'));
  });

  it.each([
    ...['EIO', 'EINVAL', 'EPROTONOSUPPORT', 'ENOMEM', 'ENOSPC'].map((errno) => ['path', errno]),
    ...['EIO', 'EOPNOTSUPP', 'EPROTONOSUPPORT', 'EINVAL', 'EAGAIN'].map((errno) => ['register', errno]),
  ])('whose call %s is answered %s says what that means', async (call = '', errno = '') => {
    applyChange(host, ['refuse', NIC, call, errno]);
    const paths = await new Observer(host).round({ verification: 'Registration' });
    const { reason, message = '' } = paths.find(({ id }) => id === NIC) ?? {};
    expect(reason).not.toBe('Paired');
    expect(message).toContain(`answered ${errno} (`);
    expect(message).not.toContain('no meaning');
  });
});
