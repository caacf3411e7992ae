// Bytes in, bytes out: what the virtual kernel answers to raw uverbs requests. The numbers are written out here on purpose, from the kernel's
// headers and from what a stock kernel answered, so that a mistake in verbs/abi.ts cannot agree with itself.
import { beforeEach, describe, expect, test } from 'vitest';

import { refused } from '../../host/host.ts';
import type { Device } from '../../host/host.ts';
import { applyChange } from '../changes.ts';
import type { HostExtension } from '../fixture.ts';
import { createVirtualHost } from '../host.ts';
import type { VirtualHost } from '../host.ts';
import { loadFixture } from '../load.ts';
import type { Attribute, Header, Wanted } from './raw.fixture.ts';
import {
  allocPd,
  contextRequest,
  encode,
  getContext,
  ioctl,
  PAGE,
  path,
  register,
  said,
  u32,
  u64,
  VERBS,
} from './raw.fixture.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';
const DMA_PATH = '/devices/pci0009:00/0009:00:00.0/0009:01:00.0/0009:02:00.0/0009:03:00.0';

const destroy = (device: Device, object: number, method: number, handle: bigint) =>
  ioctl(device, object, method, [{ id: 0, flags: 1, data: handle }]).then((got) => got.answer);
const destroyMr = (device: Device, handle: bigint) => destroy(device, 7, 1, handle);
const destroyPd = (device: Device, handle: bigint) => destroy(device, 1, 0, handle);

let host: VirtualHost;
let device: Device;

async function open(name = 'uverbs0', address = NIC): Promise<Device> {
  const opened = await host.openDevice(`/dev/infiniband/${name}`, address);
  if (refused(opened)) throw new Error(opened.code);
  return opened;
}

function rdmaDevice(nic: string) {
  const found = host.kernel.rdmaDeviceOf(host.kernel.hardware.get(nic)!);
  if (found === undefined) throw new Error(`${nic} has no RDMA device`);
  return found;
}

/** What an RDMA operation with the key ends in. */
function reach(nic: string, key: number): string {
  return rdmaDevice(nic).mkeys.reach(key);
}

async function hostWith(extension: Partial<HostExtension>): Promise<VirtualHost> {
  const fixture = await loadFixture('gb300-tray');
  return createVirtualHost({ ...fixture, extension: { ...fixture.extension!, ...extension } });
}

beforeEach(async () => {
  host = await hostWith({});
  device = await open();
});

describe('the pairing path', () => {
  test('is the DMA function’s, with its NUL, and the kernel marks the output as written', async () => {
    expect((await getContext(device)).answer).toBe(0);
    const { answer, target, bytes } = await path(device);
    expect(answer).toBe(0);
    expect(target.toString('latin1', 0, target.indexOf(0))).toBe(DMA_PATH);
    expect(target.readUInt8(DMA_PATH.length + 1)).toBe(0xaa);
    expect(bytes.readUInt16LE(24 + 4)).toBe(3);
  });

  test('fits exactly, or ENOSPC', async () => {
    await getContext(device);
    expect((await path(device, DMA_PATH.length + 1)).answer).toBe(0);
    expect((await path(device, DMA_PATH.length)).answer).toBe('ENOSPC');
    expect((await path(device, 5)).number).toBe(28);
  });

  test('needs a context: EINVAL', async () => {
    expect((await path(device)).answer).toBe('EINVAL');
  });

  test('is ENODEV while the DMA function is unbound, and comes back on the same descriptor', async () => {
    await getContext(device);
    applyChange(host, ['unbind', DMA]);
    expect((await path(device)).answer).toBe('ENODEV');
    applyChange(host, ['bind', DMA]);
    expect((await path(device)).answer).toBe(0);
  });

  test('is ENODEV for a VUID that differs by case or a blank only', async () => {
    for (const vuid of ['vt2547virt001mlnxdatadirect0', 'VT2547VIRT001MLNXDATADIRECT0 ']) {
      applyChange(host, ['unbind', NIC]);
      applyChange(host, ['vuid', NIC, vuid]);
      applyChange(host, ['bind', NIC]);
      const other = await open();
      await getContext(other);
      expect((await path(other)).answer).toBe('ENODEV');
    }
  });

  test('is ENODEV for a BlueField, which has no DMA function', async () => {
    const bluefield = await open('uverbs4', '0016:03:00.0');
    await getContext(bluefield);
    expect((await path(bluefield)).answer).toBe('ENODEV');
  });

  test('is EIO for ever on a descriptor whose NIC was unbound', async () => {
    await getContext(device);
    applyChange(host, ['unbind', NIC]);
    expect((await path(device)).answer).toBe('EIO');
    applyChange(host, ['bind', NIC]);
    expect((await path(device)).answer).toBe('EIO');
    const fresh = await open();
    await getContext(fresh);
    expect((await path(fresh)).answer).toBe(0);
  });
});

const contextAttributes = (): Attribute[] => [
  { id: 0x1000, target: contextRequest() },
  { id: 0x1001, target: Buffer.alloc(72) },
];
/** 256 attributes and the header: more than 4 KiB. */
const fillAPage = (): Attribute[] => [...contextAttributes(), ...Array.from({ length: 254 }, () => ({ id: 0x77 }))];

describe('the frame of every request', () => {
  test('another ioctl number is ENOTTY', async () => {
    expect(await said(device.ioctl(0xc0181b02, Buffer.alloc(24), []))).toBe('ENOTTY');
  });

  test.each<[string, string, number, number, Header]>([
    ['a length that does not fit the attributes', 'EINVAL', 0, 3, { length: 24 }],
    ['reserved1', 'EPROTONOSUPPORT', 0, 3, { reserved1: 1n }],
    ['reserved2', 'EPROTONOSUPPORT', 0, 3, { reserved2: 1 }],
    ['another driver', 'EINVAL', 0, 3, { driver: 14 }],
    ['another driver, before the method is looked up', 'EINVAL', 0, 0x1fff, { driver: 14 }],
    ['an unknown object', 'EPROTONOSUPPORT', 99, 0, {}],
    ['an unknown method', 'EPROTONOSUPPORT', 0, 99, {}],
  ])('%s is %s', async (_what, errno, object, method, header) => {
    expect((await ioctl(device, object, method, contextAttributes(), header)).answer).toBe(errno);
  });

  test('more attributes than fit a page are EINVAL', async () => {
    expect((await ioctl(device, 0, 3, fillAPage())).answer).toBe(0);
    host = await hostWith({ pageSize: 4096 });
    expect((await ioctl(await open(), 0, 3, fillAPage())).answer).toBe('EINVAL');
  });

  test('bytes that end too early are EFAULT', async () => {
    expect(await said(device.ioctl(VERBS, Buffer.alloc(10), []))).toBe('EFAULT');
    const { bytes, pointers } = encode(0, 3, contextAttributes());
    expect(await said(device.ioctl(VERBS, bytes.subarray(0, 40), pointers))).toBe('EFAULT');
  });

  test('an unknown attribute is ignored unless it is mandatory', async () => {
    expect((await ioctl(device, 0, 3, [...contextAttributes(), { id: 0x77, flags: 1 }])).answer).toBe(
      'EPROTONOSUPPORT',
    );
    expect((await ioctl(device, 0, 3, [...contextAttributes(), { id: 0x77 }])).answer).toBe(0);
  });

  test('an attribute given twice, missing or with reserved bits is EINVAL', async () => {
    await getContext(device);
    const out = { id: 0x1000, target: Buffer.alloc(4096) };
    expect((await ioctl(device, 0, 0x1001, [out, out])).answer).toBe('EINVAL');
    expect((await ioctl(device, 0, 0x1001, [])).answer).toBe('EINVAL');
    expect((await ioctl(device, 0, 0x1001, [{ ...out, reserved: 1 }])).answer).toBe('EINVAL');
  });

  test('a pointer to nothing is EFAULT', async () => {
    await getContext(device);
    expect((await ioctl(device, 0, 0x1001, [{ id: 0x1000, length: 4096, data: 0xdeadn }])).answer).toBe('EFAULT');
  });
});

describe('GET_CONTEXT', () => {
  test('answers with the device’s limits and the length of its answer', async () => {
    const answer = Buffer.alloc(72);
    const vectors = Buffer.alloc(4);
    const got = await ioctl(device, 0, 3, [
      { id: 0, target: vectors },
      { id: 1, target: Buffer.alloc(8) },
      { id: 0x1000, target: contextRequest() },
      { id: 0x1001, target: answer },
    ]);
    expect(got.answer).toBe(0);
    expect(vectors.readUInt32LE()).toBeGreaterThan(0);
    expect(answer.readUInt16LE(32)).toBe(1);
    expect(answer.readUInt32LE(40)).toBe(72);
    expect(answer.readUInt8(44)).toBe(1);
  });

  test('twice is EINVAL', async () => {
    expect((await getContext(device)).answer).toBe(0);
    expect((await getContext(device)).answer).toBe('EINVAL');
  });

  test.each<[string, string, (request: Buffer) => Buffer]>([
    ['a request of an unknown length', 'EINVAL', (request) => request.subarray(0, 12)],
    ['an unknown flag', 'EOPNOTSUPP', (request) => (request.writeUInt32LE(2, 8), request)],
    ['comp_mask', 'EOPNOTSUPP', (request) => (request.writeUInt32LE(1, 12), request)],
    ['a reserved byte', 'EOPNOTSUPP', (request) => (request.writeUInt8(1, 17), request)],
    ['no blue flame registers without DYN_UAR', 'EINVAL', (request) => (request.writeBigUInt64LE(1n, 24), request)],
  ])('%s is %s', async (_what, errno, change) => {
    expect((await getContext(device, change(contextRequest()))).answer).toBe(errno);
  });

  test('works with the DEVX flag and with the shortest second version', async () => {
    const devx = contextRequest();
    devx.writeUInt32LE(1, 8);
    expect((await getContext(device, devx)).answer).toBe(0);
    const bfregs = Buffer.alloc(16);
    bfregs.writeUInt32LE(16, 0);
    bfregs.writeUInt32LE(4, 4);
    expect((await getContext(await open(), bfregs)).answer).toBe(0);
  });
});

describe('protection domains', () => {
  test('have handles from 0 and are destroyed once', async () => {
    await getContext(device);
    expect([await allocPd(device), await allocPd(device)]).toEqual([0n, 1n]);
    expect(await destroyPd(device, 0n)).toBe(0);
    expect(await destroyPd(device, 0n)).toBe('ENOENT');
    expect(await allocPd(device)).toBe(0n);
  });

  test('are EINVAL without a context', async () => {
    const attributes = [
      { id: 2, ...u64(3n) },
      { id: 0, ...u64(0n) },
      { id: 1, target: Buffer.alloc(4) },
    ];
    expect((await ioctl(device, 0, 0, attributes)).answer).toBe('EINVAL');
  });

  test('a missing or short CORE_IN is ENOSPC, a command that is not there EOPNOTSUPP, a missing UHW_OUT EFAULT', async () => {
    await getContext(device);
    const out = { id: 1, target: Buffer.alloc(4) };
    const command = { id: 2, ...u64(3n) };
    expect((await ioctl(device, 0, 0, [command, out])).answer).toBe('ENOSPC');
    expect((await ioctl(device, 0, 0, [command, { id: 0, ...u32(0) }, out])).answer).toBe('ENOSPC');
    expect((await ioctl(device, 0, 0, [{ id: 2, ...u64(63n) }, { id: 0, ...u64(0n) }, out])).answer).toBe('EOPNOTSUPP');
    expect((await ioctl(device, 0, 0, [command, { id: 0, ...u64(0n) }, out])).answer).toBe('EFAULT');
  });
});

describe('REG_DMABUF_MR', () => {
  let memory: number;
  beforeEach(async () => {
    await getContext(device);
    await allocPd(device);
    const dmabuf = await host.dmabuf(4 * Number(PAGE));
    if (refused(dmabuf)) throw new Error(dmabuf.code);
    memory = dmabuf.fd;
  });

  test('registers through the DMA function: handle and keys come back, MR and PD are destroyed in that order only', async () => {
    const { answer, handle, lkey, rkey } = await register(device, { fd: memory });
    expect(answer).toBe(0);
    expect(handle).toBe(1n);
    expect(lkey).toBeGreaterThan(0);
    expect(rkey).toBe(lkey);
    expect(await destroyPd(device, 0n)).toBe('EBUSY');
    expect(await destroyMr(device, handle)).toBe(0);
    expect(await destroyPd(device, 0n)).toBe(0);
  });

  test('fd -1 tells a ready pair (EBADF) from none (EINVAL)', async () => {
    expect((await register(device, { fd: -1 })).answer).toBe('EBADF');
    applyChange(host, ['unbind', DMA]);
    expect((await register(device, { fd: -1 })).answer).toBe('EINVAL');
    expect((await register(device, { fd: -1, dataDirect: undefined })).answer).toBe('EBADF');
  });

  test.each<[string, string, Wanted]>([
    ['offset and iova differ within the page', 'EINVAL', { offset: 4096n }],
    ['offset and iova agree but the iova is not aligned', 'EOPNOTSUPP', { offset: 4096n, iova: 4096n }],
    ['on-demand paging', 'EINVAL', { access: 0x41 }],
    ['remote write without local write', 'EINVAL', { access: 0x2 }],
    ['remote atomic without local write', 'EINVAL', { access: 0x8 }],
    ['an unknown mlx5 flag', 'EINVAL', { dataDirect: 2 }],
    ['a length of zero', 'EINVAL', { length: 0n, fd: 64 }],
    ['more than the DMABUF holds', 'EINVAL', { length: 5n * PAGE, fd: 64 }],
    ['an overflow', 'EINVAL', { offset: (1n << 64n) - PAGE, length: 2n * PAGE }],
    ['a descriptor that is no DMABUF', 'EINVAL', { fd: 0 }],
    ['a PD that is not there', 'ENOENT', { pd: 7n }],
  ])('%s: %s', async (_what, errno, wanted) => {
    expect((await register(device, wanted)).answer).toBe(errno);
  });

  test('remote atomic is allowed with local write, and relaxed ordering too', async () => {
    expect((await register(device, { fd: memory, access: 0x10_0009 })).answer).toBe(0);
  });

  test.each<[string, string, boolean]>([
    ['6.12.107', 'on', false],
    ['7.3.4', 'off', false],
    ['7.3.4', 'on', true],
  ])('relaxed ordering: Linux %s, in the firmware %s: kept %s', async (kernelRelease, inFirmware, isKept) => {
    host = await hostWith({ kernelRelease });
    for (const change of [
      ['unbind', NIC],
      ['capability', NIC, 'relaxed_ordering_write', inFirmware],
      ['bind', NIC],
    ])
      applyChange(host, change);
    const opened = await open();
    await getContext(opened);
    await allocPd(opened);
    const dmabuf = await host.dmabuf(Number(PAGE));
    const fd = refused(dmabuf) ? -1 : dmabuf.fd;
    expect((await register(opened, { fd, access: 0x10_000f })).answer).toBe(0);
    expect(host.kernel.objects(7)).toMatchObject([{ access: isKept ? 0x10_000f : 0xf }]);
  });

  test('what a 64 KiB kernel refuses, a 4 KiB kernel registers', async () => {
    expect((await register(device, { fd: memory, offset: 4096n, iova: 4096n })).answer).toBe('EOPNOTSUPP');
    host = await hostWith({ pageSize: 4096 });
    const dmabuf = await host.dmabuf(4 * Number(PAGE));
    const small = await open();
    await getContext(small);
    await allocPd(small);
    const fd = refused(dmabuf) ? -1 : dmabuf.fd;
    expect((await register(small, { fd, offset: 4096n, iova: 4096n })).answer).toBe(0);
  });

  test('a region may not be named as a PD, nor a PD as a region', async () => {
    const { handle } = await register(device, { fd: memory });
    expect((await register(device, { fd: memory, pd: handle })).answer).toBe('EINVAL');
    expect(await destroyMr(device, 0n)).toBe('EINVAL');
    expect(await destroyMr(device, 99n)).toBe('ENOENT');
  });

  test('an old kernel refuses the flag as unknown when it is mandatory, and ignores it when it is not', async () => {
    host = await hostWith({ kernelRelease: '6.8.0-1021-generic' });
    const old = await open();
    await getContext(old);
    await allocPd(old);
    expect((await path(old)).answer).toBe('EPROTONOSUPPORT');
    expect((await register(old, {})).answer).toBe('EPROTONOSUPPORT');
    expect((await register(old, { mandatory: false })).answer).toBe('EBADF');
  });

  test('firmware that cannot cross VHCAs: EOPNOTSUPP', async () => {
    host.alter((kernel) => {
      kernel.hardware.get(NIC)!.firmware!.crossingVhcaMkey = false;
    });
    expect((await register(device, { fd: memory })).answer).toBe('EOPNOTSUPP');
    expect((await register(device, { fd: memory, dataDirect: undefined })).answer).toBe(0);
  });

  test('GPU memory can be reached only from the GPU’s own iommu group: errno 524 otherwise', async () => {
    const dmabuf = await host.gpuDmabuf('0009:06:00.0', 4 * Number(PAGE));
    const fd = refused(dmabuf) ? -1 : dmabuf.fd;
    expect((await register(device, { fd })).answer).toBe(0);
    expect((await register(device, { fd, dataDirect: undefined })).number).toBe(524);
    applyChange(host, ['regroup', DMA, '99']);
    expect((await register(device, { fd })).number).toBe(524);
  });

  test('unbinding the DMA function kills the keys of its live regions and no others; binding it again does not revive them', async () => {
    const direct = await register(device, { fd: memory });
    const plain = await register(device, { fd: memory, dataDirect: undefined });
    const neighbour = await open('uverbs1', '0002:03:00.0');
    await getContext(neighbour);
    await allocPd(neighbour);
    const other = await register(neighbour, { fd: memory });
    const reached = (): string[] => [
      reach(NIC, direct.rkey),
      reach(NIC, plain.rkey),
      reach('0002:03:00.0', other.rkey),
    ];

    expect(reached()).toEqual(['memory', 'memory', 'memory']);
    applyChange(host, ['unbind', DMA]);
    expect(reached()).toEqual(['remote access error', 'memory', 'memory']);
    applyChange(host, ['bind', DMA]);
    expect(reached()).toEqual(['remote access error', 'memory', 'memory']);
    const anew = await register(device, { fd: memory });
    expect(reach(NIC, anew.rkey)).toBe('memory');
    expect(await destroyMr(device, direct.handle)).toBe(0);
    expect(await destroyMr(device, plain.handle)).toBe(0);
    expect(reach(NIC, plain.rkey)).toBe('remote access error');
  });

  test('a data direct region takes two keys, an ordinary one one, and they go with it', async () => {
    const direct = await register(device, { fd: memory });
    expect(rdmaDevice(NIC).mkeys.count).toBe(2);
    await register(device, { fd: memory, dataDirect: undefined });
    expect(rdmaDevice(NIC).mkeys.count).toBe(3);
    await destroyMr(device, direct.handle);
    expect(rdmaDevice(NIC).mkeys.count).toBe(1);
    await device.close();
    expect(rdmaDevice(NIC).mkeys.count).toBe(0);
  });

  test('handles of a device that was removed can still be destroyed, and nothing else be done', async () => {
    const { handle } = await register(device, { fd: memory });
    applyChange(host, ['unbind', NIC]);
    expect((await register(device, { fd: memory })).answer).toBe('EIO');
    expect((await getContext(device)).answer).toBe('EIO');
    expect(await destroyMr(device, handle)).toBe(0);
    expect(await destroyPd(device, 0n)).toBe(0);
  });

  test('closing frees everything', async () => {
    await register(device, { fd: memory });
    await device.close();
    expect(host.kernel.objects(7)).toEqual([]);
    expect((await path(device)).answer).toBe('EBADF');
  });
});

describe('a kernel, a firmware or a cgroup that grants less', () => {
  test('more objects than the RDMA cgroup grants: EAGAIN for context, protection domain and region', async () => {
    applyChange(host, ['rdma-limit', '0']);
    expect((await getContext(device)).answer).toBe('EAGAIN');
    applyChange(host, ['rdma-limit', '1']);
    expect((await getContext(device)).answer).toBe(0);
    const pd = [
      { id: 2, ...u64(3n) },
      { id: 0, ...u64(0n) },
      { id: 1, target: Buffer.alloc(4) },
      { id: 0x1001, target: Buffer.alloc(4) },
    ];
    expect((await ioctl(device, 0, 0, pd)).answer).toBe('EAGAIN');
    applyChange(host, ['rdma-limit', '2']);
    await allocPd(device);
    expect((await register(device, {})).answer).toBe('EAGAIN');
    applyChange(host, ['rdma-limit', 'none']);
    expect((await register(device, {})).answer).toBe('EBADF');
  });

  test('no on-demand paging in the kernel: every DMABUF is EOPNOTSUPP, whatever else is wrong with the request', async () => {
    host = await hostWith({ onDemandPaging: false });
    const without = await open();
    await getContext(without);
    await allocPd(without);
    expect((await register(without, {})).answer).toBe('EOPNOTSUPP');
    expect((await register(without, { dataDirect: 2 })).answer).toBe('EOPNOTSUPP');
    expect((await register(without, { access: 0x40 })).answer).toBe('EINVAL');
  });

  test('more pages than one UMR of this firmware loads: EINVAL', async () => {
    applyChange(host, ['capability', NIC, 'umr_extended_translation_offset', 'off']);
    await getContext(device);
    await allocPd(device);
    const most = 65_536n * PAGE;
    expect((await register(device, { length: most })).answer).toBe('EINVAL');
    expect((await register(device, { length: most - 1n })).answer).toBe('EBADF');
  });

  test('two DMA functions of one VUID: the later one takes the NIC over, and either one leaving leaves it without', async () => {
    const twin = '0019:03:00.0';
    const vuid = 'VT2547VIRT001MLNXDATADIRECT0';
    applyChange(host, ['unbind', twin]);
    applyChange(host, ['vpd-set', twin, 'VU', vuid]);
    await getContext(device);
    const paired = async () => {
      const { answer, target } = await path(device);
      return answer === 0 ? target.toString('latin1', 0, target.indexOf(0)).slice(-12) : answer;
    };
    expect(await paired()).toBe(DMA);
    applyChange(host, ['bind', twin]);
    expect(await paired()).toBe(twin);
    applyChange(host, ['unbind', DMA]);
    expect(await paired()).toBe('ENODEV');
  });
});

describe('what a test injects', () => {
  test('an errno that nobody expects is answered at its call, until it is allowed again', async () => {
    await getContext(device);
    applyChange(host, ['refuse', 'mlx5_0', 'path', '133']);
    expect(await path(device)).toMatchObject({ answer: 'errno 133', number: 133 });
    applyChange(host, ['allow', 'mlx5_0']);
    expect((await path(device)).answer).toBe(0);
  });

  test.each(['EAGAIN', 'ENOMEM', 'EACCES', 'ENXIO'])('open() can fail with %s', async (errno) => {
    applyChange(host, ['refuse', NIC, 'open', errno]);
    expect(await host.openDevice('/dev/infiniband/uverbs0', NIC)).toMatchObject({ code: errno });
  });

  test('a node that is hidden, gone or not there is ENOENT; another namespace is EPERM', async () => {
    applyChange(host, ['hide-uverbs', NIC]);
    expect(await host.openDevice('/dev/infiniband/uverbs0', NIC)).toMatchObject({ code: 'ENOENT' });
    applyChange(host, ['show-uverbs', NIC]);
    applyChange(host, ['rdma-namespaces', 'exclusive']);
    expect(await host.openDevice('/dev/infiniband/uverbs0', NIC)).toMatchObject({ code: 'EPERM' });
    expect(await host.openDevice('/dev/infiniband/uverbs99', NIC)).toMatchObject({ code: 'ENOENT' });
  });
});
