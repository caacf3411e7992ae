import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Loop } from '../loop.ts';
import { pciExpress } from '../pci/capabilities.ts';
import { ConfigSpace } from '../pci/config-space.ts';
import type { PciFunction } from '../pci/function.ts';
import { Client, File } from './client.fixture.ts';
import { DmaMap } from './dma-map.ts';
import { Endpoint } from './endpoint.ts';
import { Interrupts } from './interrupts.ts';
import * as wire from './wire.ts';

const EINVAL = 22;
const ENOSYS = 38;
const PAGE = 4096;
const openFds = (): number => readdirSync('/proc/self/fd').length;

let directory: string;
let loop: Loop;
let log: string[];
let resets: number;
let memory: Buffer;
let slot: { dma: DmaMap; interrupts: Interrupts };
let endpoint: Endpoint;
let client: Client;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vfio-user-test-'));
  loop = new Loop();
  log = [];
  resets = 0;
  memory = Buffer.alloc(2 * PAGE);
  slot = { dma: new DmaMap('nic0'), interrupts: new Interrupts() };
  const identity = { vendor: 0x15b3, device: 0x1023, subsystemVendor: 0, subsystemDevice: 0, class: 0x020700 };
  const device: PciFunction = {
    name: 'nic0',
    config: new ConfigSpace(identity, [{ index: 0, size: memory.length }], [pciExpress()]),
    bars: new Map([
      [
        0,
        {
          size: memory.length,
          read: (at, length) => Buffer.from(memory.subarray(at, at + length)),
          write: (at, data) => void data.copy(memory, at),
        },
      ],
    ]),
    vectors: 4,
    reset: () => (resets += 1),
  };
  endpoint = new Endpoint(loop, join(directory, 'nic0.sock'), device, slot, (line) => void log.push(line));
  endpoint.plug();
  client = new Client(loop, join(directory, 'nic0.sock'));
  client.request(4);
});

afterEach(() => {
  endpoint.unplug();
  rmSync(directory, { recursive: true });
});

const irqs = (flags: number, start: number, count: number): Buffer =>
  wire.irqSet.encode({ argsz: 20, flags, index: wire.MSIX_IRQ, start, count });
const TRIGGER_BY_EVENTFD = 0x24;

describe('a client', () => {
  it('agrees on version 0 and learns what the server takes', () => {
    const proposal = Buffer.from('{"capabilities":{"max_msg_fds":16}}\0');
    const { body, errno } = client.request(1, Buffer.concat([wire.version.encode({ major: 0, minor: 1 }), proposal]));
    expect(errno).toBe(0);
    const json = body.toString('utf8', wire.version.size, body.length - 1);
    expect(JSON.parse(json)).toEqual({ capabilities: { max_msg_fds: 16, max_data_xfer_size: 4096 } });
    expect(client.request(1, wire.version.encode({ major: 1 })).errno).toBe(EINVAL);
  });

  it('sees a PCI function with its configuration space, one BAR and its vectors', () => {
    expect(wire.deviceInfo.read(client.request(4).body)).toMatchObject({ flags: 3, regions: 9, irqs: 5 });
    const sizeOf = (index: number): number =>
      Number(wire.regionInfo.read(client.request(5, wire.regionInfo.encode({ argsz: 32, index })).body).size);
    expect([0, 1, 6, 7, 8].map(sizeOf)).toEqual([2 * PAGE, 0, 0, 4096, 0]);
    const vectors = (index: number): number =>
      wire.irqInfo.read(client.request(7, wire.irqInfo.encode({ argsz: 16, index })).body).count;
    expect([0, 1, 2, 3].map(vectors)).toEqual([0, 0, 4, 0]);
  });

  it('reads and writes configuration space and BAR', () => {
    expect(client.read(7, 0, 4)).toEqual(Buffer.of(0xb3, 0x15, 0x23, 0x10));
    expect(client.write(0, 8, Buffer.from('eight by')).errno).toBe(0);
    expect(client.read(0, 8, 8).toString()).toBe('eight by');
  });

  it('gets no reply to a write for which it wants none, and the write is done', () => {
    const body = Buffer.concat([wire.regionAccess.encode({ region: 0, count: 2 }), Buffer.from('no')]);
    client.post(client.message(10, body, wire.NO_REPLY_WANTED));
    expect(client.read(0, 0, 2).toString()).toBe('no');
  });

  it('maps memory of a file, twice the same and a part of it, and takes it back', () => {
    const file = new File(directory, 'memory', 4 * PAGE);
    const map = (address: bigint, offset: bigint, size: bigint) =>
      client.request(2, wire.dmaMap.encode({ argsz: 32, flags: 3, offset, address, size }), [file.fd]).errno;
    expect([map(0x1000n, 0n, 4096n), map(0x8000n, 4096n, 8192n)]).toEqual([0, 0]);
    slot.dma.write(0x8ffen, Buffer.from('seam'));
    expect(file.content().toString('latin1', 2 * PAGE - 2, 2 * PAGE + 2)).toBe('seam');
    const unmapped = client.request(3, wire.dmaUnmap.encode({ argsz: 24, address: 0x9000n, size: 0x1000n }));
    expect(unmapped.body.length).toBe(24);
    expect(() => slot.dma.read(0x8ffen, 4)).toThrow('0x9000 is not mapped');
    client.request(3, wire.dmaUnmap.encode({ argsz: 24, flags: wire.UNMAP_ALL }));
    expect(slot.dma.size).toBe(0);
    file.remove();
  });

  it('may map what has no file (ROM), which the function then cannot reach', () => {
    expect(client.request(2, wire.dmaMap.encode({ address: 0xf000_0000n, size: 4096n })).errno).toBe(0);
    expect(slot.dma.size).toBe(0);
  });

  it('gets interrupts by the eventfd that it gave last, and the earlier one is closed', () => {
    const files = [new File(directory, 'first'), new File(directory, 'second')] as const;
    const before = openFds();
    client.request(8, irqs(TRIGGER_BY_EVENTFD, 1, 1), [files[0].fd]);
    slot.interrupts.raise(1);
    client.request(8, irqs(TRIGGER_BY_EVENTFD, 0, 2), [files[0].fd, files[1].fd]);
    slot.interrupts.raise(1);
    slot.interrupts.raise(3);
    expect(files.map((file) => file.content().length)).toEqual([8, 8]);
    client.request(8, irqs(TRIGGER_BY_EVENTFD, 1, 1));
    slot.interrupts.raise(1);
    expect(files.map((file) => file.content().length)).toEqual([8, 8]);
    client.request(8, irqs(0x21, 0, 0));
    expect(openFds()).toBe(before);
    for (const file of files) file.remove();
  });

  it('resets the function', () => {
    const before = resets;
    expect(client.request(13).errno).toBe(0);
    expect(resets).toBe(before + 1);
  });
});

describe('a request that makes no sense', () => {
  const wrong: Readonly<Record<string, [command: number, body: Buffer, errno: number]>> = {
    'an unknown command': [99, Buffer.alloc(0), ENOSYS],
    'a map without a body': [2, Buffer.alloc(8), EINVAL],
    'a region that does not exist': [5, wire.regionInfo.encode({ index: 9 }), EINVAL],
    'an interrupt that does not exist': [7, wire.irqInfo.encode({ index: 5 }), EINVAL],
    'vectors beyond the last': [8, irqs(TRIGGER_BY_EVENTFD, 3, 2), EINVAL],
    'interrupts in a way that is not there': [8, irqs(0x22, 0, 1), EINVAL],
    'a read of a region that is not there': [9, wire.regionAccess.encode({ region: 1, count: 4 }), EINVAL],
    'a read over the end': [9, wire.regionAccess.encode({ offset: 4094n, region: 7, count: 4 }), EINVAL],
    'a read of too much': [9, wire.regionAccess.encode({ region: 0, count: 8192 }), EINVAL],
    'a read from beyond all numbers': [
      9,
      wire.regionAccess.encode({ offset: 2n ** 64n - 1n, region: 7, count: 4 }),
      EINVAL,
    ],
    'a write whose data are not all there': [10, wire.regionAccess.encode({ region: 0, count: 4 }), EINVAL],
  };
  for (const [what, [command, body, errno]] of Object.entries(wrong)) {
    it(`(${what}) is answered with an errno, and the connection goes on`, () => {
      const reply = client.request(command, body);
      expect([reply.errno, reply.flags, reply.body.length]).toEqual([errno, wire.REPLY | wire.ERROR, 0]);
      expect(client.read(7, 0, 2)).toEqual(Buffer.of(0xb3, 0x15));
    });
  }

  it('(memory beyond the end of its file) is answered with an errno', () => {
    const file = new File(directory, 'short', PAGE);
    const before = openFds();
    const body = wire.dmaMap.encode({ address: 0n, offset: 1n, size: 4096n });
    expect(client.request(2, body, [file.fd]).errno).toBe(EINVAL);
    expect(openFds()).toBe(before);
    file.remove();
  });

  it('keeps none of the file descriptors that came with it', () => {
    const file = new File(directory, 'spare', PAGE);
    const before = openFds();
    client.request(99, Buffer.alloc(0), [file.fd, file.fd, file.fd]);
    expect(openFds()).toBe(before);
    file.remove();
  });
});

describe('a connection', () => {
  it('takes a message that comes byte by byte, and two that come at once', () => {
    const first = client.message(4, Buffer.alloc(0));
    for (const byte of first) {
      client.post(Buffer.of(byte));
      loop.turn(0);
    }
    expect(client.reply()).toMatchObject({ id: 2, errno: 0 });
    client.post(Buffer.concat([client.message(13, Buffer.alloc(0)), client.message(4, Buffer.alloc(0))]));
    const before = resets;
    loop.turn(0);
    expect(resets).toBe(before + 1);
  });

  it('with very many messages at once lets others have their turn', () => {
    const body = Buffer.concat([wire.regionAccess.encode({ region: 0, count: 1 }), Buffer.from('x')]);
    const write = client.message(10, body, wire.NO_REPLY_WANTED);
    const others: string[] = [];
    for (let index = 0; index < 100; index += 1) {
      wire.regionAccess.write(write, wire.header.size, { offset: BigInt(index), region: 0, count: 1 });
      client.post(write);
    }
    loop.after(0, () => others.push(memory.toString('latin1', 0, 100).replaceAll('\0', '')));
    loop.turn(0);
    const [seen = ''] = others;
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.length).toBeLessThan(100);
    for (let turn = 0; turn < 10; turn += 1) loop.turn(0);
    expect(memory.toString('latin1', 0, 100)).toBe('x'.repeat(100));
  });

  it('gives file descriptors to the message that they came with, not to one that came just before', () => {
    const file = new File(directory, 'memory', PAGE);
    client.post(client.message(4, Buffer.alloc(0)));
    client.post(client.message(2, wire.dmaMap.encode({ address: 0x1000n, size: 4096n })), [file.fd]);
    loop.turn(0);
    expect(slot.dma.read(0x1000n, 1)).toEqual(Buffer.of(0));
    file.remove();
  });

  for (const size of [0, 15, wire.longestMessage + 1, 0xffff_ffff]) {
    it(`whose client announces a message of ${size} bytes is ended with one line`, () => {
      client.post(wire.header.encode({ id: 1, command: 4, size }));
      expect(client.reply()).toBe('end');
      expect(log).toEqual([expect.stringContaining(`nic0: the vfio-user client announced a message of ${size} bytes`)]);
    });
  }

  it('whose client sends file descriptors without end is ended', () => {
    const file = new File(directory, 'spare');
    const before = openFds();
    const message = client.message(4, Buffer.alloc(64));
    client.post(message.subarray(0, 40), Array<number>(10).fill(file.fd));
    client.post(message.subarray(40), Array<number>(10).fill(file.fd));
    expect(client.reply()).toBe('end');
    expect(log).toEqual([expect.stringContaining('more than 16 file descriptors')]);
    expect(openFds()).toBe(before - 1);
    file.remove();
  });

  it('whose client reads no replies is ended instead of being waited for', () => {
    for (let count = 0; count < 10_000 && log.length === 0; count += 1) {
      client.post(client.message(9, wire.regionAccess.encode({ region: 7, count: 4096 })));
      loop.turn(0);
    }
    expect(log).toEqual([expect.stringContaining('does not read its replies')]);
  });

  it('that ends leaves no memory, no interrupts and no descriptors, and the next machine finds the function as new', () => {
    const file = new File(directory, 'memory', PAGE);
    const before = openFds();
    client.request(2, wire.dmaMap.encode({ address: 0x1000n, size: 4096n }), [file.fd]);
    client.request(8, irqs(TRIGGER_BY_EVENTFD, 0, 1), [file.fd]);
    const resetsBefore = resets;
    client.close();
    loop.turn(0);
    expect(openFds()).toBe(before - 2);
    expect([slot.dma.size, resets > resetsBefore, endpoint.connected]).toEqual([0, true, false]);
    expect(log).toEqual(['nic0: the machine has gone']);
    expect(new Client(loop, join(directory, 'nic0.sock')).read(7, 0, 2)).toEqual(Buffer.of(0xb3, 0x15));
    file.remove();
  });

  it('is one at a time: a second machine is turned away and the first goes on', () => {
    const second = new Client(loop, join(directory, 'nic0.sock'));
    expect(second.reply()).toBe('end');
    expect(log).toEqual([expect.stringContaining('a second machine was turned away')]);
    expect(client.request(4).errno).toBe(0);
  });

  it('breaks when the function is unplugged, and the function can be plugged in again', () => {
    endpoint.unplug();
    expect(client.reply()).toBe('end');
    expect(() => new Client(loop, join(directory, 'nic0.sock'))).toThrow('connect failed');
    endpoint.plug();
    expect(new Client(loop, join(directory, 'nic0.sock')).request(4).errno).toBe(0);
  });
});
