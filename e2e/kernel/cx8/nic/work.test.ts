import { beforeEach, describe, expect, it } from 'vitest';
import { CQE } from './completion-queue.ts';
import { FAR, localSegment, remoteSegment, Rig, type ScriptedCq, type ScriptedQp } from './driver.fixture.ts';
import type { Faults } from './faults.ts';
import { mkc } from './layouts.ts';
import { ACCESS_MODE } from './memory-key.ts';
import { SERVICE } from './queue-pair.ts';
import { SYNDROME } from './work.ts';
import { OPCODE } from './work-request.ts';

const PAGE = 4096;
const LENGTH = 3 * PAGE;
const WRITE = OPCODE.RDMA_WRITE;
const ok = expect.objectContaining({ opcode: CQE.REQUESTER });
const failed = (syndrome: keyof typeof SYNDROME) =>
  expect.objectContaining({ opcode: CQE.REQUESTER_ERROR, syndrome: SYNDROME[syndrome] });

function ksm(key: number, address: bigint): Buffer {
  const entry = Buffer.alloc(16);
  entry.writeUInt32BE(key >>> 0, 4);
  entry.writeBigUInt64BE(address, 8);
  return entry;
}

const split = (mode: number) => ({ access_mode_1_0: mode & 3, access_mode_4_2: mode >> 2 });

/** The pages of the region in an order that is not the one of their addresses. */
const pages = [FAR + 5n * 4096n, FAR + 1n * 4096n, FAR + 9n * 4096n];

/** What mlx5_ib makes of a data direct registration: a physical key of the DMA function, a KSM over it, a crossing key for the user. */
function dataDirectRegion(rig: Rig): { user: number; ksm: number; physical: number } {
  const physical = rig.createMkey({ length64: 1, pd: 9, mkey_7_0: 0x11 }, { dataDirect: true });
  const list = rig.createMkey(
    {
      ...split(ACCESS_MODE.KSM),
      pd: 9,
      mkey_7_0: 0x22,
      len: BigInt(LENGTH),
      log_page_size: 12,
      translations_octword_size: pages.length,
    },
    { translations: pages.map((page) => ksm(physical, page)) },
  );
  const user = rig.createMkey({
    ...split(ACCESS_MODE.CROSSING),
    mkey_7_0: 0x33,
    len: BigInt(LENGTH),
    translations_octword_size: list,
  });
  return { user, ksm: list, physical };
}

/** The region's bytes in order. */
const regionOf = (rig: Rig): Buffer =>
  Buffer.concat(pages.map((page) => rig.far.subarray(Number(page - FAR), Number(page - FAR) + PAGE)));

let rig: Rig;
let cq: ScriptedCq;
let from: ScriptedQp;
let to: ScriptedQp;
let own: { address: bigint; bytes: Buffer };
let ownKey: number;

beforeEach(() => {
  rig = new Rig();
  cq = rig.createCq(rig.createEq({ vector: 1 }).number);
  from = rig.createQp(cq);
  to = rig.createQp(cq);
  from.connect(to.number, 7);
  to.connect(from.number, 7);
  own = rig.allocate(LENGTH);
  for (const [at] of own.bytes.entries()) own.bytes[at] = (at * 7) & 0xff;
  ownKey = rig.createMkey({ length64: 1 });
});

const writeTo = (key: number, { address = 0n, length = LENGTH } = {}): void =>
  from.post(WRITE, [remoteSegment(key, address), localSegment(ownKey, own.address, length)]);

describe('a data direct region', () => {
  it('is written through the domain of the DMA function, page by page', () => {
    writeTo(dataDirectRegion(rig).user);
    expect(cq.poll()).toEqual(ok);
    expect(regionOf(rig).equals(own.bytes)).toBe(true);
    expect(rig.nic.report().traffic).toEqual({
      nic0: { read: LENGTH, written: 0 },
      dma0: { read: 0, written: LENGTH },
    });
  });

  it('is read through it too, from the middle of one page to the middle of another', () => {
    for (const [at] of rig.far.entries()) rig.far[at] = (at * 13) & 0xff;
    const { user } = dataDirectRegion(rig);
    from.post(OPCODE.RDMA_READ, [remoteSegment(user, 100n), localSegment(ownKey, own.address, 2 * PAGE)]);
    expect(cq.poll()).toMatchObject({ opcode: CQE.REQUESTER, bytes: 2 * PAGE });
    expect(own.bytes.subarray(0, 2 * PAGE).equals(regionOf(rig).subarray(100, 100 + 2 * PAGE))).toBe(true);
  });

  it('is not reached through the NIC’s own domain: with the domains exchanged the same WRITE fails and nothing changes', () => {
    const { user } = dataDirectRegion(rig);
    rig.break({ domainsExchanged: true });
    writeTo(user);
    expect(cq.poll()).toEqual(failed('REMOTE_OPERATION'));
    expect(rig.far.every((byte) => byte === 0)).toBe(true);
    expect(rig.log).toContainEqual(expect.stringContaining('is not mapped in the DMA domain of nic0'));
  });

  it('of which one page is not mapped any more is not written to at all', () => {
    rig.dataDirect.unmap(pages[2] ?? 0n, 4096n);
    writeTo(dataDirectRegion(rig).user);
    expect(cq.poll()).toEqual(failed('REMOTE_OPERATION'));
    expect(rig.far.every((byte) => byte === 0)).toBe(true);
  });

  it('that has been revoked answers with a remote access error and stays as it was', () => {
    const { user, ksm: list } = dataDirectRegion(rig);
    const umr = rig.createQp(cq, { service: SERVICE.UMR });
    umr.connect(0, 0);
    umr.post(OPCODE.UMR, [umrControl({ flags: 0x80, mask: 1n << 29n }), mkc.encode({ free: 1 })], { immediate: list });
    expect(cq.poll()).toEqual(ok);
    writeTo(user);
    expect(cq.poll()).toEqual(failed('REMOTE_ACCESS'));
    expect(rig.far.every((byte) => byte === 0)).toBe(true);
    expect(rig.log).toContainEqual(expect.stringContaining('has been revoked'));
  });
});

function umrControl({ flags = 0, octowords = 0, offset = 0, mask = 0n }): Buffer {
  const segment = Buffer.alloc(0x30);
  segment.writeUInt8(flags, 0);
  segment.writeUInt16BE(octowords, 4);
  segment.writeUInt16BE(offset, 6);
  segment.writeBigUInt64BE(mask, 8);
  return segment;
}

describe('a UMR', () => {
  const ENABLE = (1n << 29n) | (1n << 13n) | (1n << 0n) | (1n << 20n) | (1n << 1n) | (1n << 7n);
  let umr: ScriptedQp;
  let list: { address: bigint; bytes: Buffer };
  let empty: number;
  let physical: number;

  beforeEach(() => {
    umr = rig.createQp(cq, { service: SERVICE.UMR });
    umr.connect(0, 0);
    list = rig.allocate(PAGE);
    physical = rig.createMkey({ length64: 1, pd: 9 }, { dataDirect: true });
    empty = rig.createMkey({ ...split(ACCESS_MODE.KSM), free: 1, log_page_size: 12, translations_octword_size: 3 });
  });

  const fill = (entries: Buffer[], control: Parameters<typeof umrControl>[0]): void => {
    Buffer.concat(entries).copy(list.bytes);
    const context = mkc.encode({ mkey_7_0: 0x44, len: BigInt(LENGTH), rw: 1, pd: 1, log_page_size: 12 });
    const place = localSegment(ownKey, list.address, entries.length * 16);
    umr.post(OPCODE.UMR, [umrControl({ octowords: entries.length, ...control }), context, place], { immediate: empty });
  };

  it('fills a key and makes it usable, under its new variant', () => {
    fill(
      pages.map((page) => ksm(physical, page)),
      { flags: 0x20, mask: ENABLE },
    );
    expect(cq.poll()).toEqual(ok);
    writeTo(empty | 0x44);
    expect(cq.poll()).toEqual(ok);
    expect(regionOf(rig).equals(own.bytes)).toBe(true);
  });

  it('fills the list in two goes', () => {
    fill([ksm(physical, pages[0] ?? 0n)], { flags: 0 });
    fill(
      pages.slice(1).map((page) => ksm(physical, page)),
      { flags: 0x10, offset: 1, mask: ENABLE },
    );
    expect([cq.poll(), cq.poll()]).toEqual([ok, ok]);
    writeTo(empty | 0x44);
    expect(cq.poll()).toEqual(ok);
    expect(regionOf(rig).equals(own.bytes)).toBe(true);
  });

  it('that may only change a free key leaves one in use alone', () => {
    fill([], { flags: 0x80, mask: ENABLE });
    fill([], { flags: 0x80 | 0x20, mask: ENABLE });
    expect([cq.poll(), cq.poll()]).toEqual([ok, failed('LOCAL_OPERATION')]);
  });

  it('that may only change a key in use leaves a free one alone', () => {
    fill([], { flags: 0x80 | 0x40 });
    expect(cq.poll()).toEqual(failed('LOCAL_OPERATION'));
  });

  it('with more translations than the key has room for fails', () => {
    fill(Array<Buffer>(5).fill(ksm(physical, FAR)), { flags: 0 });
    expect(cq.poll()).toEqual(failed('LOCAL_OPERATION'));
  });

  it('that makes the lists of all keys longer than there is room for fails, until a key is gone', () => {
    const most = 2 ** 22 - 1;
    const make = (): number =>
      rig.createMkey({ ...split(ACCESS_MODE.KSM), free: 1, log_page_size: 12, translations_octword_size: most });
    // One entry at the end of a list of 64 MiB.
    const fillLast = (key: number): void => {
      ksm(physical, FAR).copy(list.bytes);
      const control = umrControl({ flags: 0x10, octowords: 1, offset: (most - 1) & 0xffff });
      control.writeUInt32BE((most - 1) >>> 16, 0x10);
      umr.post(OPCODE.UMR, [control, mkc.encode({}), localSegment(ownKey, list.address, 16)], { immediate: key });
    };
    const keys = [make(), make(), make(), make(), make()];
    for (const key of keys) fillLast(key);
    expect(keys.map(() => cq.poll())).toEqual([ok, ok, ok, ok, failed('LOCAL_OPERATION')]);
    expect(rig.log.at(-1)).toContain('the memory keys have too many translations together');
    const named = Buffer.alloc(16);
    named.writeUInt32BE((keys[0] ?? 0) >>> 8, 8);
    rig.run('DESTROY_MKEY', named);
    umr = rig.createQp(cq, { service: SERVICE.UMR });
    umr.connect(0, 0);
    fillLast(keys[4] ?? 0);
    expect(cq.poll()).toEqual(ok);
  });

  it('on a key that does not exist fails', () => {
    umr.post(OPCODE.UMR, [umrControl({ flags: 0x80 }), mkc.encode({})], { immediate: 0x12_3400 });
    expect(cq.poll()).toEqual(failed('LOCAL_OPERATION'));
  });

  it('whose entry ends too early fails', () => {
    umr.post(OPCODE.UMR, [umrControl({ flags: 0x80 })], { immediate: empty });
    expect(cq.poll()).toEqual(failed('LOCAL_OPERATION'));
  });
});

describe('a key', () => {
  const refusals: Readonly<Record<string, () => number>> = {
    'that does not exist': () => 0xffff00,
    'of an earlier region, by its variant': () => rig.createMkey({ length64: 1, mkey_7_0: 1 }) + 1,
    'that is free': () => rig.createMkey({ length64: 1, free: 1 }),
    'of another protection domain': () => rig.createMkey({ length64: 1, pd: 2 }),
    'that does not allow remote writes': () => rig.createMkey({ length64: 1, rw: 0 }),
    'that ends before the data do': () => rig.createMkey({ len: BigInt(LENGTH - 1) }),
    'of a kind that is not emulated': () => rig.createMkey({ length64: 1, ...split(5) }),
    'whose list is shorter than it says': () =>
      rig.createMkey({ ...split(ACCESS_MODE.KSM), len: BigInt(LENGTH), log_page_size: 12 }),
  };
  for (const [what, key] of Object.entries(refusals)) {
    it(`${what} lets nobody in`, () => {
      writeTo(key());
      expect(cq.poll()).toEqual(failed('REMOTE_ACCESS'));
    });
  }

  it('that leads to itself lets nobody in', () => {
    const first = rig.createMkey({ length64: 1 });
    const ring = first + 0x100;
    expect(rig.createMkey({ ...split(ACCESS_MODE.CROSSING), length64: 1, translations_octword_size: ring })).toBe(ring);
    writeTo(ring);
    expect(cq.poll()).toEqual(failed('REMOTE_ACCESS'));
  });

  it('that leads over lists of lists for ever lets nobody in', () => {
    const scattered = (inner: number) =>
      rig.createMkey(
        { ...split(ACCESS_MODE.KLM), length64: 1 },
        { translations: Array.from({ length: 1500 }, (_, at) => localSegment(inner, BigInt(at), 1)) },
      );
    writeTo(scattered(scattered(ownKey)), { length: 1500 });
    expect(cq.poll()).toEqual(failed('REMOTE_ACCESS'));
    expect(rig.log.at(-1)).toContain('scatters the access over too many translations');
  });

  it('of the MTT kind maps its pages, the first from where the region begins in it', () => {
    const target = rig.allocate(4 * PAGE);
    const mtt = [2n, 0n, 3n, 1n].map((page) => {
      const entry = Buffer.alloc(8);
      entry.writeBigUInt64BE(target.address + page * 4096n + 3n);
      return entry;
    });
    const start = 0x7000_0000_0100n;
    const key = rig.createMkey(
      {
        ...split(ACCESS_MODE.MTT),
        start_addr: start,
        len: BigInt(LENGTH),
        log_page_size: 12,
        translations_octword_size: 2,
      },
      { translations: mtt },
    );
    writeTo(key, { address: start });
    expect(cq.poll()).toEqual(ok);
    expect(target.bytes.subarray(2 * PAGE + 0x100, 3 * PAGE).equals(own.bytes.subarray(0, PAGE - 0x100))).toBe(true);
    expect(target.bytes.subarray(PAGE, PAGE + 0x100).equals(own.bytes.subarray(LENGTH - 0x100))).toBe(true);
  });

  it('of the KLM kind is pieces of any length', () => {
    const target = rig.allocate(2 * PAGE);
    const plain = rig.createMkey({ length64: 1, pd: 9 });
    const pieces = [localSegment(plain, target.address + 5000n, 10), localSegment(plain, target.address, 100)];
    const key = rig.createMkey(
      { ...split(ACCESS_MODE.KLM), len: 110n, translations_octword_size: 2 },
      { translations: pieces },
    );
    writeTo(key, { address: 4n, length: 20 });
    expect(cq.poll()).toEqual(ok);
    expect(target.bytes.subarray(5004, 5010).equals(own.bytes.subarray(0, 6))).toBe(true);
    expect(target.bytes.subarray(0, 14).equals(own.bytes.subarray(6, 20))).toBe(true);
  });
});

describe('the data of one work request', () => {
  it('may together be scattered no further than those of one key', () => {
    const nothing = Array.from({ length: 2 ** 14 }, () => localSegment(ownKey, own.address, 0));
    const scattered = rig.createMkey(
      { ...split(ACCESS_MODE.KLM), length64: 1 },
      { translations: [...nothing, localSegment(ownKey, own.address, 1)] },
    );
    const data = Array.from({ length: 40 }, () => localSegment(scattered, 0n, 1));
    const wide = rig.createQp(cq, { log: 4 });
    wide.connect(to.number, 7);
    wide.post(WRITE, [remoteSegment(ownKey, own.address), ...data]);
    expect(cq.poll()).toEqual(failed('LOCAL_PROTECTION'));
    expect(rig.log.at(-1)).toContain('scatters the access over too many translations');
  });

  it('arrive whole where pieces on either side are of any length', () => {
    const target = rig.allocate(PAGE);
    const plain = rig.createMkey({ length64: 1, pd: 9 });
    const pieces = [3, 0, 10, 1, 50].map((length, at) =>
      localSegment(plain, target.address + BigInt(at * 100), length),
    );
    const key = rig.createMkey({ ...split(ACCESS_MODE.KLM), length64: 1 }, { translations: pieces });
    const data = [7, 2, 55].map((length, at) => localSegment(ownKey, own.address + BigInt(at * 1000), length));
    const wide = rig.createQp(cq);
    wide.connect(to.number, 7);
    wide.post(WRITE, [remoteSegment(key, 0n), ...data]);
    expect(cq.poll()).toMatchObject({ opcode: CQE.REQUESTER, bytes: 64 });
    const sent = [7, 2, 55].map((length, at) => own.bytes.subarray(at * 1000, at * 1000 + length));
    const there = [3, 0, 10, 1, 50].map((length, at) => target.bytes.subarray(at * 100, at * 100 + length));
    expect(Buffer.concat(there).equals(Buffer.concat(sent))).toBe(true);
  });
});

describe('a queue pair', () => {
  it('sends into the posted receive of the other end, with immediate data', () => {
    const target = rig.allocate(PAGE);
    to.postReceive(ownKey, target.address, 100);
    from.post(OPCODE.SEND_IMMEDIATE, [localSegment(ownKey, own.address, 60)], { immediate: 0xabcd });
    const completions = [cq.poll(), cq.poll()];
    expect(completions).toContainEqual(
      expect.objectContaining({ opcode: CQE.RESPONDER_SEND_IMMEDIATE, bytes: 60, immediate: 0xabcd }),
    );
    expect(completions).toContainEqual(ok);
    expect(target.bytes.subarray(0, 60).equals(own.bytes.subarray(0, 60))).toBe(true);
  });

  it('sends data that are in the work request itself', () => {
    const target = rig.allocate(PAGE);
    to.postReceive(ownKey, target.address, 100);
    const inline = Buffer.alloc(32);
    inline.writeUInt32BE(0x8000_0000 + 20, 0);
    inline.write('twenty bytes of text', 4);
    from.post(OPCODE.SEND, [inline]);
    cq.poll();
    expect(target.bytes.toString('latin1', 0, 20)).toBe('twenty bytes of text');
  });

  it('refuses a message that is longer than any can be', () => {
    const gibibyte = localSegment(ownKey, own.address, 2 ** 30);
    from.post(WRITE, [remoteSegment(ownKey, 0n), gibibyte, gibibyte]);
    expect(cq.poll()).toEqual(failed('LOCAL_LENGTH'));
  });

  it('waits for a receive that is posted late', () => {
    const target = rig.allocate(PAGE);
    from.post(OPCODE.SEND, [localSegment(ownKey, own.address, 8)]);
    rig.pass(50);
    expect(cq.poll()).toBeUndefined();
    to.postReceive(ownKey, target.address, 8);
    rig.pass(5);
    expect([cq.poll()?.opcode, cq.poll()?.opcode]).toEqual([CQE.RESPONDER_SEND, CQE.REQUESTER]);
  });

  it('does not wait for ever for a receive', () => {
    from.post(OPCODE.SEND, [localSegment(ownKey, own.address, 8)]);
    rig.pass(60_000);
    expect(cq.poll()).toEqual(failed('RECEIVER_NOT_READY'));
    expect(rig.due).toEqual([]);
  });

  it('does not wait at all where the driver has set no retries', () => {
    const impatient = rig.createQp(cq);
    impatient.connect(to.number, 7, { rnrRetry: 0 });
    impatient.post(OPCODE.SEND, [localSegment(ownKey, own.address, 8)]);
    expect(cq.poll()).toEqual(failed('RECEIVER_NOT_READY'));
  });

  it('that waits is forgotten by a reset', () => {
    from.post(OPCODE.SEND, [localSegment(ownKey, own.address, 8)]);
    rig.nic.reset();
    rig.pass(60_000);
    expect(rig.due).toEqual([]);
  });

  it('that waits and is destroyed leaves its memory alone, which may be another’s by then', () => {
    from.post(OPCODE.SEND, [localSegment(ownKey, own.address, 8)]);
    const named = Buffer.alloc(0x110);
    named.writeUInt32BE(from.number, 8);
    rig.run('2ERR_QP', named);
    rig.run('DESTROY_QP', named);
    expect(cq.poll()).toEqual(failed('FLUSHED'));
    from.postReceive(ownKey, own.address, 8);
    rig.pass(60_000);
    expect(cq.poll()).toBeUndefined();
  });

  it('fails both ends where the receive is too short', () => {
    to.postReceive(ownKey, own.address, 4);
    from.post(OPCODE.SEND, [localSegment(ownKey, own.address, 8)]);
    expect([cq.poll(), cq.poll()]).toEqual([
      expect.objectContaining({ opcode: CQE.RESPONDER_ERROR, syndrome: SYNDROME.LOCAL_LENGTH }),
      failed('REMOTE_INVALID_REQUEST'),
    ]);
  });

  it('in error completes what was posted to it, sends and receives, as flushed', () => {
    from.postReceive(ownKey, own.address, 4);
    writeTo(0xffff00);
    from.post(OPCODE.NOP, []);
    const syndromes = [cq.poll(), cq.poll(), cq.poll()].map((one) => one?.syndrome);
    expect(syndromes).toEqual([SYNDROME.REMOTE_ACCESS, SYNDROME.FLUSHED, SYNDROME.FLUSHED]);
  });

  const silent: Readonly<Record<string, { remote?: number; lid?: number; faults?: Faults }>> = {
    'is not there': { remote: 0x999 },
    'is at a LID that nobody has': { lid: 0x55 },
    'has its port down': { faults: { port: 'down' } },
  };
  for (const [what, { remote, lid, faults }] of Object.entries(silent)) {
    it(`gets no answer when the other end ${what}`, () => {
      const qp = rig.createQp(cq);
      qp.connect(remote ?? to.number, lid ?? 7);
      rig.break(faults ?? {});
      qp.post(WRITE, [remoteSegment(ownKey, own.address), localSegment(ownKey, own.address, 8)]);
      expect(cq.poll()).toEqual(failed('RETRIES_EXCEEDED'));
    });
  }

  it('refuses a transition that its state does not allow', () => {
    expect(() => from.connect(to.number, 7)).toThrow('"status":16');
  });

  it('with a work request that this NIC does not know fails', () => {
    from.post(0x11, [remoteSegment(ownKey, 0n)]);
    expect(cq.poll()).toEqual(failed('LOCAL_OPERATION'));
  });

  it('reaches a queue pair of another NIC on the fabric', () => {
    const nodes = new Map();
    const near = new Rig(nodes, 7);
    const distant = new Rig(nodes, 8);
    const nearCq = near.createCq(near.createEq({}).number);
    const sender = near.createQp(nearCq);
    const receiver = distant.createQp(distant.createCq(distant.createEq({}).number));
    sender.connect(receiver.number, 8);
    receiver.connect(sender.number, 7);
    const source = near.allocate(PAGE);
    const target = distant.allocate(PAGE);
    source.bytes.write('from the other NIC');
    const nearKey = near.createMkey({ length64: 1 });
    const distantKey = distant.createMkey({ length64: 1 });
    sender.post(WRITE, [remoteSegment(distantKey, target.address), localSegment(nearKey, source.address, 18)]);
    expect(nearCq.poll()).toEqual(ok);
    expect(target.bytes.toString('latin1', 0, 18)).toBe('from the other NIC');
  });

  it('wraps around at the end of its ring, and numbers its work without end', () => {
    for (let round = 0; round < 200; round += 1) {
      writeTo(ownKey, { address: own.address, length: 16 });
      expect(cq.poll()).toEqual(ok);
    }
  });
});

describe('a send ring that cannot be followed', () => {
  it('because an entry is longer than what is posted ends with that entry', () => {
    from.post(OPCODE.NOP, [], { tooLong: 40 });
    expect(cq.poll()).toEqual(failed('LOCAL_OPERATION'));
    expect(cq.poll()).toBeUndefined();
    expect(rig.log.at(-1)).toContain('it is 11 blocks long, and 1 are posted');
  });

  it('because its counter is beyond its end is worked off no further', () => {
    from.overrun(1000);
    expect(cq.poll()).toBeUndefined();
    expect(rig.log.at(-1)).toMatch(/is in error: its counter says that 1001 are posted to a ring of \d+/);
  });
});

describe('a send queue with more in it than a turn of the loop has time for', () => {
  const COUNT = 30;
  const completions: number[] = [];
  let long: ScriptedQp;
  let longCq: ScriptedCq;

  /** How many completions there are by now; all are successes. */
  const done = (): number => {
    for (let next = longCq.poll(); next !== undefined; next = longCq.poll()) completions.push(next.opcode);
    return completions.filter((opcode) => opcode === CQE.REQUESTER).length;
  };

  beforeEach(() => {
    completions.length = 0;
    longCq = rig.createCq(rig.createEq({}).number, 6);
    long = rig.createQp(longCq, { log: 5, receives: 5 });
    long.connect(to.number, 7);
    rig.tick = 1;
    for (let index = 1; index <= COUNT; index += 1) {
      const data = localSegment(ownKey, own.address + BigInt(index), 1);
      long.post(WRITE, [remoteSegment(ownKey, own.address), data], { ring: index === COUNT });
    }
  });

  it('is worked off in several turns, in order and to its end, and commands are answered in between', () => {
    const first = done();
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(COUNT);
    expect(own.bytes[0]).toBe(own.bytes[first]);
    expect(rig.number('ALLOC_PD')).toBeGreaterThan(0);
    expect(done()).toBe(first);
    rig.pass(1000);
    expect(done()).toBe(COUNT);
    expect(own.bytes[0]).toBe(own.bytes[COUNT]);
    expect(rig.due).toEqual([]);
  });

  it('gets no further by being rung for again', () => {
    const first = done();
    for (let times = 0; times < 3; times += 1) rig.doorbell(0x10, 0x800, ringFor(long));
    expect(done()).toBe(first);
    expect(rig.due).toHaveLength(1);
  });

  it('is flushed in several turns too, its receives after it', () => {
    for (let times = 0; times < COUNT; times += 1) long.postReceive(ownKey, own.address, 1);
    const first = done();
    const named = Buffer.alloc(0x110);
    named.writeUInt32BE(long.number, 8);
    rig.pass(1000);
    rig.run('2ERR_QP', named);
    const flushed = (): number => (done(), completions.filter((opcode) => opcode === CQE.RESPONDER_ERROR).length);
    expect(first).toBeLessThan(COUNT);
    expect(flushed()).toBeGreaterThan(0);
    expect(flushed()).toBeLessThan(COUNT);
    rig.pass(1000);
    expect(flushed()).toBe(COUNT);
    expect(rig.due).toEqual([]);
  });

  it('is forgotten by a reset', () => {
    const first = done();
    rig.nic.reset();
    rig.pass(1000);
    expect(done()).toBe(first);
    expect(rig.due).toEqual([]);
  });
});

function ringFor(qp: ScriptedQp): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(qp.number << 8, 4);
  return bytes;
}

describe('a completion queue', () => {
  it('that is armed tells of the next completion once', () => {
    cq.arm(rig);
    writeTo(ownKey, { address: own.address });
    writeTo(ownKey, { address: own.address });
    expect(rig.raised).toEqual([1]);
  });

  it('that is armed too late tells at once', () => {
    writeTo(ownKey, { address: own.address });
    cq.arm(rig);
    expect(rig.raised).toEqual([1]);
  });

  it('that overflows tells so by an event', () => {
    const errors = rig.createEq({ vector: 6, types: [4] });
    const short = rig.createCq(rig.createEq({}).number, 0);
    const qp = rig.createQp(short);
    qp.connect(to.number, 7);
    qp.post(OPCODE.NOP, []);
    qp.post(OPCODE.NOP, []);
    expect(rig.raised).toEqual([6]);
    expect(errors.bytes.readUInt32BE(0x20)).toBe(short.number);
  });

  it('in memory that is gone is a line in the log', () => {
    rig.dma.clear();
    rig.nic.work.run([...rig.nic.resources.qps.values()][0]!);
    expect(rig.log).toEqual([expect.stringContaining('is in error')]);
  });
});
