import { describe, expect, it } from 'vitest';

import type { Answer, Device, Host, Pointer } from '../host/host.ts';
import { Errno } from '../host/host.ts';
import { ib_uverbs_attr, ib_uverbs_ioctl_hdr } from './abi.ts';
import { Context } from './context.ts';
import { meaning, Refusal } from './errors.ts';
import type { MemoryRegion } from './memory-region.ts';
import { probe, registerDmabuf } from './memory-region.ts';

interface Asked {
  readonly request: number;
  readonly bytes: Buffer;
  readonly pointers: readonly Pointer[];
}
type Kernel = (asked: Asked) => Answer<0>;

/** Here the bytes themselves are the matter, so the kernel is a function over them; the faithful one is in ../virtual. */
class ScriptedDevice implements Device {
  readonly asked: Asked[] = [];
  closed = false;
  readonly kernel: Kernel;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  async ioctl(request: number, bytes: Buffer, pointers: readonly Pointer[]): Promise<Answer<0>> {
    const asked = { request, bytes, pointers };
    this.asked.push(asked);
    return this.kernel(asked);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

async function contextOn(device: ScriptedDevice): Promise<Context> {
  const host = { openDevice: async () => device, pageSize: 65536 } as unknown as Host;
  return granted(await Context.open(host, 'uverbs0', '0000:03:00.0'));
}

function header({ bytes }: Asked) {
  return ib_uverbs_ioctl_hdr.read(bytes);
}

/** Attributes by id; the pointer's target where there is one. */
function attributes(asked: Asked) {
  const { num_attrs: count } = header(asked);
  return new Map(
    Array.from({ length: count }, (_, index) => {
      const at = ib_uverbs_ioctl_hdr.size + index * ib_uverbs_attr.size;
      const target = asked.pointers.find(({ offset }) => offset === at + ib_uverbs_attr.offsets.data)?.target;
      const { attr_id: id, ...attribute } = ib_uverbs_attr.read(asked.bytes, at);
      return [id, { ...attribute, at, target }] as const;
    }),
  );
}

function answering(method: number, answer: Kernel): Kernel {
  return (asked) => (header(asked).method_id === method ? answer(asked) : 0);
}

const GET_CONTEXT = 3;
const SYSFS_PATH = 0x1001;
const REG_DMABUF_MR = 4;

function last(device: ScriptedDevice): Asked {
  return given(device.asked.at(-1));
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing there');
  return value;
}

function granted<T>(answer: T | Refusal): T {
  if (answer instanceof Refusal) throw new Error(`${answer.call}: ${answer.errno.code}`);
  return answer;
}

/** A kernel that answers the pairing into this buffer. */
function asking(answer: (buffer: Buffer) => Answer<0>): ScriptedDevice {
  return new ScriptedDevice(answering(SYSFS_PATH, (asked) => answer(given(attributes(asked).get(0x1000)?.target))));
}

/** A protection domain with handle 7 on such a kernel. */
async function inPd(kernel: Kernel) {
  const device = new ScriptedDevice((asked) => {
    attributes(asked).get(1)?.target?.writeUInt32LE(7);
    return kernel(asked);
  });
  const context = await contextOn(device);
  const pd = await context.allocPd();
  return { device, pd: granted(pd) };
}

describe('opening a context', () => {
  it('asks with the one request number and the header that the kernel checks', async () => {
    const device = new ScriptedDevice(() => 0);
    await contextOn(device);
    const asked = last(device);
    expect(asked.request).toBe(0xc0181b01);
    expect(header(asked)).toEqual({
      length: asked.bytes.length,
      object_id: 0,
      method_id: 3,
      num_attrs: 4,
      reserved1: 0n,
      driver_id: 1,
      reserved2: 0,
    });
  });

  it('needs no doorbell pages: everything zero but CQE version 1 and dynamic UARs', async () => {
    const device = new ScriptedDevice(() => 0);
    await contextOn(device);
    const expected = Buffer.alloc(32);
    expected.writeUInt8(1, 16);
    expected.writeUInt8(3, 24);
    expect(attributes(last(device)).get(0x1000)?.target).toEqual(expected);
    expect(attributes(last(device)).get(0x1001)).toMatchObject({ len: 72 });
  });

  it('closes the device again when the kernel refuses', async () => {
    const device = new ScriptedDevice(answering(GET_CONTEXT, () => new Errno('EAGAIN', 11, 'ioctl')));
    const host = { openDevice: async () => device } as unknown as Host;
    const answer = await Context.open(host, 'uverbs0', '0000:03:00.0');
    expect(answer).toMatchObject({ call: 'GET_CONTEXT', errno: { code: 'EAGAIN' } });
    expect(device.closed).toBe(true);
  });
});

describe('asking for the DMA function', () => {
  it('always offers a whole PATH_MAX', async () => {
    const device = asking(() => new Errno('ENODEV', 19, 'ioctl'));
    const context = await contextOn(device);
    await context.dataDirectSysfsPath();
    expect(attributes(last(device)).get(0x1000)).toMatchObject({ len: 4096, flags: 1 });
  });

  it('reads the path up to its NUL', async () => {
    const device = asking((buffer) => {
      buffer.write('/devices/pci0009:00/0009:03:00.0\0rest');
      return 0;
    });
    const context = await contextOn(device);
    expect(await context.dataDirectSysfsPath()).toBe('/devices/pci0009:00/0009:03:00.0');
  });

  it('takes an answer without end for a refusal that nobody knows', async () => {
    const device = asking((buffer) => {
      buffer.fill('x');
      return 0;
    });
    const context = await contextOn(device);
    const answer = await context.dataDirectSysfsPath();
    expect(answer).toMatchObject({ errno: { code: 'EBADMSG' } });
    expect(meaning(answer as Refusal)).toBeUndefined();
  });
});

describe('registering for data direct', () => {
  it('makes the protection domain through INVOKE_WRITE', async () => {
    const { device, pd } = await inPd(() => 0);
    const asked = attributes(last(device));
    expect(header(last(device))).toMatchObject({ object_id: 0, method_id: 0 });
    expect(asked.get(2)).toMatchObject({ len: 8, data: 3n });
    expect(asked.get(0)).toMatchObject({ len: 8, data: 0n, target: undefined });
    expect(pd.handle).toBe(7);
    await pd.destroy();
    expect(header(last(device))).toMatchObject({ object_id: 1, method_id: 0 });
    expect(attributes(last(device)).get(0)).toMatchObject({ len: 0, data: 7n });
  });

  it('marks the data direct flag MANDATORY, so that an old kernel refuses instead of making an ordinary region', async () => {
    const { device, pd } = await inPd(() => 0);
    await probe(pd);
    expect(attributes(last(device)).get(0x1000)).toMatchObject({ len: 4, flags: 1, data: 1n, target: undefined });
  });

  it('probes one system page at address 0 of a file that does not exist', async () => {
    const { device, pd } = await inPd(answering(REG_DMABUF_MR, () => new Errno('EBADF', 9, 'ioctl')));
    expect(await probe(pd)).toBe('ready');
    const asked = attributes(last(device));
    expect(header(last(device))).toMatchObject({ object_id: 7, method_id: 4 });
    expect(asked.get(1)).toMatchObject({ len: 0, data: 7n });
    expect([2, 3, 4, 5].map((id) => asked.get(id)?.data)).toEqual([0n, 65536n, 0n, 0xffff_ffffn]);
    expect(asked.get(5)).toMatchObject({ len: 4 });
  });

  it('does not take an accepted probe for a good one', async () => {
    const { pd } = await inPd(() => 0);
    expect(await probe(pd)).toBeInstanceOf(Refusal);
  });

  it('gives a region its keys, and destroys it by the handle that the kernel wrote', async () => {
    const { device, pd } = await inPd(
      answering(REG_DMABUF_MR, (asked) => {
        const { num_attrs: count } = header(asked);
        if (count === 1) return 0;
        const answer = attributes(asked);
        ib_uverbs_attr.write(asked.bytes, answer.get(0)?.at ?? 0, { data: 42n });
        answer.get(7)?.target?.writeUInt32LE(0x1234);
        answer.get(8)?.target?.writeUInt32LE(0x5678);
        return 0;
      }),
    );
    const region = await registerDmabuf(pd, { fd: 9, length: 65536 });
    expect(region).toMatchObject({ handle: 42, lkey: 0x1234, rkey: 0x5678 });
    await (region as MemoryRegion).deregister();
    expect(header(last(device))).toMatchObject({ object_id: 7, method_id: 1 });
    expect(attributes(last(device)).get(0)?.data).toBe(42n);
  });

  it('says which call was refused', async () => {
    const { pd } = await inPd(answering(REG_DMABUF_MR, () => new Errno('ENOTSUPP', 524, 'ioctl')));
    const refusal = await registerDmabuf(pd, { fd: 9, length: 65536 });
    expect(refusal).toMatchObject({ call: 'REG_DMABUF_MR', errno: { number: 524 } });
    expect(meaning(refusal as Refusal)?.says).toContain('iommu groups');
  });
});
