// A driver of the NIC, a few lines of it, for tests: memory of its own, commands through the queue, queues, keys and work requests as
// mlx5_core and libmlx5 write them.
import type { Bar } from '../pci/function.ts';
import { DmaMap } from '../vfio-user/dma-map.ts';
import { Interrupts } from '../vfio-user/interrupts.ts';
import type { Faults } from './faults.ts';
import { commandOutput, createMkeyIn, mkc, numberedOut, qpc } from './layouts.ts';
import { Nic } from './nic.ts';
import { type CommandName, opcodeOf } from './opcodes.ts';
import type { Node } from './work.ts';

const QUEUE = 0x4000_0000n;
/** Above 2 GiB, where a signed dword goes wrong; not where the NIC's own memory is. */
export const FAR = 0xfff0_0000n;
const PAGE = 4096;
const UAR = 0x10;

export interface Completion {
  readonly opcode: number;
  readonly syndrome: number;
  readonly bytes: number;
  readonly immediate: number;
}

/** A NIC with memory for its driver behind it and, apart from that, memory in its DMA function's domain. */
export class Rig {
  readonly ram = Buffer.alloc(4 * 1024 * 1024);
  /** What only the DMA function reaches, at FAR. */
  readonly far = Buffer.alloc(256 * 1024);
  readonly log: string[] = [];
  readonly raised: number[] = [];
  readonly nic: Nic;
  readonly dma = new DmaMap('nic0');
  readonly dataDirect = new DmaMap('dma0');
  readonly due: { at: number; work: () => void }[] = [];
  time = 0;
  /** By how much the clock moves on each time that the NIC looks at it. */
  tick = 0;
  #used = PAGE;

  constructor(nodes: Map<number, Node> = new Map(), lid = 7) {
    this.dma.map(QUEUE, this.ram);
    this.dataDirect.map(FAR, this.far);
    const interrupts = new Interrupts();
    interrupts.raise = (vector) => void this.raised.push(vector);
    this.nic = new Nic({
      name: 'nic0',
      identity: { vhcaId: 1, guid: 0xb83f_d200_0001_0000n, lid, vuid: 'VT1MLNXDATADIRECT0' },
      isVirtualFunction: false,
      vpd: Buffer.alloc(0),
      slot: { dma: this.dma, interrupts },
      dataDirect: this.dataDirect,
      capabilities: {},
      timers: {
        now: () => (this.time += this.tick),
        after: (milliseconds, work) => void this.due.push({ at: this.time + milliseconds, work }),
      },
      fabric: { node: (wanted) => nodes.get(wanted) },
      log: (line) => void this.log.push(line),
    });
    nodes.set(lid, this.nic);
    this.dword(0x10, Number(QUEUE >> 32n));
    this.dword(0x14, Number(QUEUE & 0xffff_ffffn));
  }

  get bar(): Bar {
    const bar = this.nic.bars.get(0);
    if (bar === undefined) throw new Error('no BAR0');
    return bar;
  }

  break(faults: Faults): void {
    this.nic.setFaults(faults);
  }

  /** Time passes, and what was due in it is done. */
  pass(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const next = this.due.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.due.splice(this.due.indexOf(next), 1);
      this.time = Math.max(this.time, next.at);
      next.work();
    }
    this.time = Math.max(this.time, end);
  }

  dword(offset: number, value: number): void {
    const data = Buffer.alloc(4);
    data.writeUInt32BE(value >>> 0);
    this.bar.write(offset, data);
  }

  /** Memory of the driver's, on a page of its own, as address and bytes. */
  allocate(length: number): { address: bigint; bytes: Buffer } {
    const at = this.#used;
    this.#used += Math.ceil(length / PAGE) * PAGE;
    return { address: QUEUE + BigInt(at), bytes: this.ram.subarray(at, at + length) };
  }

  /** As the driver would write it to entry 0 of the queue; `spoil` may change the bytes before the signature is made, or after. */
  command(input: Buffer, outputLength = 16, { before, after }: { before?: Spoil; after?: Spoil } = {}): CommandResult {
    const entry = this.ram.subarray(0, 64);
    entry.fill(0);
    const token = 0x5a;
    const inChain = this.#mailboxes(input.subarray(16), token);
    const outChain = this.#mailboxes(Buffer.alloc(Math.max(0, outputLength - 16)), token);
    entry.writeUInt8(7, 0);
    entry.writeUInt32BE(input.length, 4);
    entry.writeBigUInt64BE(inChain.address, 8);
    input.copy(entry, 0x10, 0, 16);
    entry.writeBigUInt64BE(outChain.address, 0x30);
    entry.writeUInt32BE(outputLength, 0x38);
    entry.writeUInt8(token, 0x3c);
    entry.writeUInt8(1, 63);
    before?.(entry, inChain.boxes, outChain.boxes);
    entry.writeUInt8(0, 61);
    entry.writeUInt8(0xff ^ entry.reduce((sum, byte) => sum ^ byte, 0), 61);
    after?.(entry, inChain.boxes, outChain.boxes);
    this.dword(0x18, 1);
    const output = Buffer.concat([entry.subarray(0x20, 0x30), ...outChain.boxes.map((box) => box.subarray(0, 512))]);
    const owned = (entry.readUInt8(63) & 1) === 1;
    return {
      state: owned ? 'unanswered' : 'answered',
      delivery: entry.readUInt8(63) >> 1,
      ...commandOutput.read(output),
      output: output.subarray(0, outputLength),
    };
  }

  /** A command that has to succeed. */
  run(name: CommandName, input: Buffer = Buffer.alloc(16), outputLength = 16): Buffer {
    input.writeUInt16BE(opcodeOf(name), 0);
    const result = this.command(input, outputLength);
    if (result.state !== 'answered' || result.delivery !== 0 || result.status !== 0) {
      throw new Error(`${name}: ${JSON.stringify({ ...result, output: undefined })}; ${this.log.at(-1)}`);
    }
    return result.output;
  }

  number(name: CommandName, input?: Buffer): number {
    return numberedOut.get(this.run(name, input), 'pd');
  }

  /** An event queue of 2^log entries for these types of events. */
  createEq({ vector = 0, types = [] as number[], log = 4 }): { number: number; bytes: Buffer } {
    const ring = this.allocate(64 << log);
    const input = Buffer.alloc(0x118);
    input.writeUInt32BE(log << 24, 0x1c);
    input.writeUInt32BE(vector, 0x24);
    for (const type of types) input.writeBigUInt64BE(input.readBigUInt64BE(0x58) | (1n << BigInt(type)), 0x58);
    input.writeBigUInt64BE(ring.address, 0x110);
    return { number: this.number('CREATE_EQ', input) & 0xff, bytes: ring.bytes };
  }

  createCq(eqn: number, log = 4): ScriptedCq {
    const ring = this.allocate(64 << log);
    const doorbell = this.allocate(8);
    const input = Buffer.alloc(0x118);
    input.writeUInt32BE(log << 24, 0x1c);
    input.writeUInt32BE(eqn, 0x24);
    input.writeBigUInt64BE(doorbell.address, 0x48);
    input.writeBigUInt64BE(ring.address, 0x110);
    ring.bytes.fill(0xf0); // as the drivers do: opcode invalid
    return new ScriptedCq(this.number('CREATE_CQ', input), ring.bytes, doorbell.bytes);
  }

  createQp(cq: ScriptedCq, { service = 0, pd = 1, log = 3, receives = 2 } = {}): ScriptedQp {
    const receiveBytes = 16 << receives;
    const ring = this.allocate(receiveBytes + (64 << log));
    const doorbell = this.allocate(8);
    const input = Buffer.alloc(0x118);
    const context = qpc.encode({
      st: service,
      pd,
      log_rq_size: receives,
      log_rq_stride: 0,
      log_sq_size: log,
      cqn_snd: cq.number,
      cqn_rcv: cq.number,
      user_index: 0x77,
      dbr_addr: doorbell.address,
    });
    context.copy(input, 0x18);
    input.writeBigUInt64BE(ring.address, 0x110);
    return new ScriptedQp(this, this.number('CREATE_QP', input), ring.bytes, receiveBytes, doorbell.bytes);
  }

  /** A key over memory of its domain, for everything. */
  createMkey(
    fields: Parameters<typeof mkc.encode>[0],
    { dataDirect = false, translations = [] as Buffer[] } = {},
  ): number {
    const list = Buffer.concat(translations);
    const input = Buffer.alloc(0x110 + Math.ceil(list.length / 16) * 16);
    const context = mkc.encode({ lr: 1, lw: 1, rr: 1, rw: 1, pd: 1, ...fields });
    context.copy(input, 0x10);
    createMkeyIn.write(input, {
      data_direct: dataDirect ? 1 : 0,
      translations_octword_actual_size: Math.ceil(list.length / 16),
    });
    list.copy(input, 0x110);
    return (this.number('CREATE_MKEY', input) << 8) | (fields.mkey_7_0 ?? 0);
  }

  doorbell(page: number, offset: number, data: Buffer): void {
    this.bar.write(page * PAGE + offset, data);
  }

  #mailboxes(data: Buffer, token: number): { address: bigint; boxes: Buffer[] } {
    const count = Math.ceil(data.length / 512);
    const places = Array.from({ length: count }, () => this.allocate(1024));
    for (const [index, { bytes }] of places.entries()) {
      bytes.fill(0);
      data.copy(bytes, 0, index * 512, (index + 1) * 512);
      bytes.writeBigUInt64BE(places[index + 1]?.address ?? 0n, 0x230);
      bytes.writeUInt32BE(index, 0x238);
      bytes.writeUInt8(token, 0x23d);
    }
    return { address: places[0]?.address ?? 0n, boxes: places.map(({ bytes }) => bytes) };
  }
}

type Spoil = (entry: Buffer, inputBoxes: Buffer[], outputBoxes: Buffer[]) => void;

export interface CommandResult {
  readonly state: 'answered' | 'unanswered';
  readonly delivery: number;
  readonly status: number;
  readonly syndrome: number;
  readonly output: Buffer;
}

export class ScriptedCq {
  readonly number: number;
  readonly #ring: Buffer;
  readonly #doorbell: Buffer;
  #next = 0;

  constructor(number: number, ring: Buffer, doorbell: Buffer) {
    this.number = number;
    this.#ring = ring;
    this.#doorbell = doorbell;
  }

  /** The next completion that is the driver's, by its owner bit. */
  poll(): Completion | undefined {
    const entries = this.#ring.length / 64;
    const entry = this.#ring.subarray((this.#next % entries) * 64, ((this.#next % entries) + 1) * 64);
    const opOwn = entry.readUInt8(63);
    if (opOwn >> 4 === 0xf || (opOwn & 1) !== (Math.floor(this.#next / entries) & 1)) return undefined;
    this.#next += 1;
    this.#doorbell.writeUInt32BE(this.#next & 0xff_ffff, 0);
    return {
      opcode: opOwn >> 4,
      syndrome: opOwn >> 4 >= 0xd ? entry.readUInt8(0x37) : 0,
      bytes: entry.readUInt32BE(0x2c),
      immediate: entry.readUInt32BE(0x24),
    };
  }

  arm(rig: Rig): void {
    const data = Buffer.alloc(8);
    data.writeUInt32BE(this.#next & 0xff_ffff, 0);
    data.writeUInt32BE(this.number, 4);
    rig.doorbell(UAR, 0x20, data);
  }
}

export class ScriptedQp {
  readonly number: number;
  readonly #rig: Rig;
  readonly #ring: Buffer;
  readonly #receiveBytes: number;
  readonly #doorbell: Buffer;
  #sent = 0;
  #received = 0;

  constructor(rig: Rig, number: number, ring: Buffer, receiveBytes: number, doorbell: Buffer) {
    this.#rig = rig;
    this.number = number;
    this.#ring = ring;
    this.#receiveBytes = receiveBytes;
    this.#doorbell = doorbell;
  }

  /** INIT, RTR, RTS, towards a queue pair at a LID. */
  connect(remote: number, lid: number, { rnrRetry = 7 } = {}): void {
    const steps: [CommandName, Parameters<typeof qpc.encode>[0]][] = [
      ['RST2INIT_QP', { rre: 1, rwe: 1 }],
      ['INIT2RTR_QP', { remote_qpn: remote }],
      ['RTR2RTS_QP', { rnr_retry: rnrRetry }],
    ];
    for (const [name, fields] of steps) {
      const input = Buffer.alloc(0x110);
      input.writeUInt32BE(this.number, 8);
      qpc.encode(fields).copy(input, 0x18);
      input.writeUInt16BE(lid, 0x18 + 0x18 + 6);
      this.#rig.run(name, input);
    }
  }

  /** Writes a work request with these segments behind the control segment, and rings; `tooLong` is how many more it claims to have. */
  post(opcode: number, segments: Buffer[], { immediate = 0, ring = true, tooLong = 0 } = {}): void {
    const control = Buffer.alloc(16);
    const rest = Buffer.concat(segments);
    control.writeUInt32BE(((this.#sent & 0xffff) << 8) | opcode, 0);
    control.writeUInt32BE((this.number << 8) | (1 + rest.length / 16 + tooLong), 4);
    control.writeUInt8(8, 11);
    control.writeUInt32BE(immediate >>> 0, 12);
    const entry = Buffer.concat([control, rest]);
    const sendRing = this.#ring.subarray(this.#receiveBytes);
    for (let at = 0; at < entry.length; at += 1) {
      sendRing[(this.#sent * 64 + at) % sendRing.length] = entry[at] ?? 0;
    }
    this.#sent += Math.ceil(entry.length / 64);
    this.#doorbell.writeUInt32BE(this.#sent & 0xffff, 4);
    if (ring) this.#rig.doorbell(UAR, 0x800, control.subarray(0, 8));
  }

  /** The counter of the doorbell record moves on by this many blocks that were never written. */
  overrun(blocks: number): void {
    this.#sent += blocks;
    this.post(0, []);
  }

  postReceive(key: number, address: bigint, length: number): void {
    localSegment(key, address, length).copy(this.#ring, (this.#received * 16) % this.#receiveBytes);
    this.#received += 1;
    this.#doorbell.writeUInt32BE(this.#received & 0xffff, 0);
  }
}

export function localSegment(key: number, address: bigint, length: number): Buffer {
  const segment = Buffer.alloc(16);
  segment.writeUInt32BE(length, 0);
  segment.writeUInt32BE(key >>> 0, 4);
  segment.writeBigUInt64BE(address, 8);
  return segment;
}

export function remoteSegment(key: number, address: bigint): Buffer {
  const segment = Buffer.alloc(16);
  segment.writeBigUInt64BE(address, 0);
  segment.writeUInt32BE(key >>> 0, 8);
  return segment;
}
