import { describe, expect, it } from 'vitest';
import { COMMANDS } from './commands.ts';
import { Rig } from './driver.fixture.ts';
import {
  dtorReg,
  generalCapabilities,
  generalCapabilities2,
  hcaVportContext,
  qpc,
  queryHcaVportContextOut,
  queryVuidIn,
} from './layouts.ts';
import { type CommandName, opcodeOf } from './opcodes.ts';
import { DELIVERY, STATUS } from './status.ts';

const header = (opcode: number, length = 16): Buffer => {
  const input = Buffer.alloc(length);
  input.writeUInt16BE(opcode, 0);
  return input;
};
const vuidOf = (rig: Rig): string => {
  const input = queryVuidIn.encode({ data_direct: 1, vhca_id: 1 });
  return rig.run('QUERY_VUID', input, 0xc0).toString('latin1', 0x40).replaceAll('\0', '');
};
const capabilities = (rig: Rig, type: number): Buffer => {
  const input = Buffer.alloc(16);
  input.writeUInt16BE((type << 1) | 1, 6);
  return rig.run('QUERY_HCA_CAP', input, 0x1010).subarray(0x10);
};

describe('a command', () => {
  it('that the firmware does not know is refused with BAD_OP and logged by its name', () => {
    const rig = new Rig();
    expect(rig.command(header(opcodeOf('CREATE_FLOW_TABLE')))).toMatchObject({ status: STATUS.BAD_OP });
    expect(rig.log).toEqual(['nic0: CREATE_FLOW_TABLE refused with status 0x2: this firmware does not know it']);
  });

  it('that nobody knows is refused and logged by its number', () => {
    const rig = new Rig();
    expect(rig.command(header(0xbeef))).toMatchObject({ status: STATUS.BAD_OP });
    expect(rig.log[0]).toContain('opcode 0xbeef');
  });

  it('with too short an input is refused, whichever command it is', () => {
    for (const [name, { input }] of Object.entries(COMMANDS).filter(([, row]) => row.input !== undefined)) {
      const result = new Rig().command(header(opcodeOf(name as CommandName), (input?.size ?? 0) - 1), 0x2000);
      expect([name, result.status]).toEqual([name, STATUS.BAD_INP_LEN]);
    }
  });

  it('with too short an output is refused, whichever command it is', () => {
    for (const [name, { output }] of Object.entries(COMMANDS).filter(([, row]) => row.output !== undefined)) {
      const result = new Rig().command(header(opcodeOf(name as CommandName), 0x200), (output?.size ?? 0) - 1);
      expect([name, result.status]).toEqual([name, STATUS.BAD_OUTP_LEN]);
    }
  });

  it('that takes long leaves those that were rung for with it to later turns of the loop', () => {
    const rig = new Rig();
    rig.run('ALLOC_PD');
    const queue = [0, 1, 2].map((index) => rig.ram.subarray(index * 64, (index + 1) * 64));
    const answered = (): boolean[] => queue.map((entry) => (entry.readUInt8(63) & 1) === 0);
    // The entry that was given back: taken to the device again, its signature follows (bit 0 of the owner, its output).
    for (const entry of queue) rig.ram.copy(entry, 0, 0, 64);
    for (const entry of queue) {
      entry.fill(0, 0x20, 0x30);
      entry.writeUInt8(1, 63);
    }
    rig.tick = 20;
    rig.dword(0x18, 0b111);
    expect(answered()).toEqual([true, false, false]);
    rig.pass(1000);
    expect(answered()).toEqual([true, true, true]);
    expect(rig.nic.report().commands).toEqual({ ALLOC_PD: 4 });
    expect(rig.due).toEqual([]);
  });

  it('that is left to a later turn is forgotten by a reset', () => {
    const rig = new Rig();
    rig.run('ALLOC_PD');
    rig.ram.copy(rig.ram, 64, 0, 64);
    for (const at of [0, 64]) rig.ram.fill(0, at + 0x20, at + 0x30).writeUInt8(1, at + 63);
    rig.tick = 20;
    rig.dword(0x18, 0b11);
    rig.nic.reset();
    rig.pass(1000);
    expect(rig.ram.readUInt8(64 + 63)).toBe(1);
    expect(rig.due).toEqual([]);
  });

  it('that ends, changes or asks for what does not exist is refused with BAD_RES, whichever command it is', () => {
    const about = /^(?:DESTROY|DEALLOC)_|_QP$/;
    const names = (Object.keys(COMMANDS) as CommandName[]).filter((name) => about.test(name) && name !== 'CREATE_QP');
    expect(names.length).toBeGreaterThan(18);
    for (const name of names) {
      const input = header(opcodeOf(name), 0x110);
      input.writeUInt32BE(0x77, 8);
      expect([name, new Rig().command(input, 0x200).status]).toEqual([name, STATUS.BAD_RES]);
    }
  });

  it('that makes a queue pair for a completion queue that does not exist is refused with BAD_RES', () => {
    const rig = new Rig();
    const input = header(opcodeOf('CREATE_QP'), 0x118);
    qpc.encode({ no_sq: 1, rq_type: 3, cqn_snd: 0x77 }).copy(input, 0x18);
    expect(rig.command(input).status).toBe(STATUS.BAD_RES);
    qpc.encode({ no_sq: 1, rq_type: 3 }).copy(input, 0x18);
    expect(rig.command(input).status).toBe(0);
  });

  it('that ends something ends it once', () => {
    const rig = new Rig();
    const named = header(opcodeOf('DEALLOC_PD'));
    named.writeUInt32BE(rig.number('ALLOC_PD'), 8);
    expect([rig.command(named).status, rig.command(named).status]).toEqual([0, STATUS.BAD_RES]);
    named.writeUInt32BE(rig.number('ALLOC_XRCD'), 8);
    expect(rig.command(named).status).toBe(STATUS.BAD_RES);
  });

  it('that makes something whose number has 8 bits gives such a number, and is refused when there is none left', () => {
    const rig = new Rig();
    for (let others = 0; others < 300; others += 1) rig.number('ALLOC_PD');
    const numbers = Array.from({ length: 255 }, () => rig.number('ALLOC_Q_COUNTER'));
    expect([new Set(numbers).size, Math.min(...numbers), Math.max(...numbers)]).toEqual([255, 1, 255]);
    expect(rig.command(header(opcodeOf('ALLOC_Q_COUNTER'))).status).toBe(STATUS.LIMIT);
  });

  it('of any name, full of ones, is answered: done or refused', () => {
    for (const name of Object.keys(COMMANDS)) {
      const rig = new Rig();
      const input = Buffer.alloc(0x400, 0xff);
      input.writeUInt16BE(opcodeOf(name as CommandName), 0);
      expect(rig.command(input, 0x2000)).toMatchObject({ state: 'answered', delivery: 0 });
    }
  });

  it('that a fault keeps from being answered stays with the device', () => {
    const rig = new Rig();
    rig.break({ commands: { ALLOC_PD: 'no answer' } });
    expect(rig.command(header(opcodeOf('ALLOC_PD')))).toMatchObject({ state: 'unanswered' });
    rig.break({});
    expect(rig.command(header(opcodeOf('ALLOC_PD')))).toMatchObject({ state: 'answered', status: 0 });
  });

  it('that was not answered is answered when the fault is taken back', () => {
    const rig = new Rig();
    rig.break({ commands: { ALLOC_PD: 'no answer' } });
    rig.command(header(opcodeOf('ALLOC_PD')));
    const isOwnedByDevice = (): boolean => (rig.ram.readUInt8(63) & 1) === 1;
    rig.break({ commands: { ALLOC_PD: 'no answer' }, port: 'down' });
    expect(isOwnedByDevice()).toBe(true);
    rig.break({});
    expect(isOwnedByDevice()).toBe(false);
  });

  it('that a fault makes fail carries the status and syndrome that were asked for', () => {
    const rig = new Rig();
    rig.break({ commands: { ALLOC_PD: { status: 5, syndrome: 0xabc } } });
    expect(rig.command(header(opcodeOf('ALLOC_PD')))).toMatchObject({ status: 5, syndrome: 0xabc });
  });

  it('is not answered by a dead firmware, whose health buffer reads all ones', () => {
    const rig = new Rig();
    rig.break({ dead: true });
    expect(rig.command(header(opcodeOf('ALLOC_PD')))).toMatchObject({ state: 'unanswered' });
    expect(rig.bar.read(0x230, 4).readUInt32BE()).toBe(0xffff_ffff);
  });

  it('may be waited for as long as a fault says, and the timeouts that a driver asks for then are there', () => {
    const rig = new Rig();
    const waits = (): number[] => [0xff8, 0xffc].map((offset) => rig.bar.read(offset, 4).readUInt32BE());
    expect(waits()).toEqual([0, 0]);
    rig.break({ commandTimeoutMs: 1500 });
    expect(waits()).toEqual([1500, 2000]);
    const dtor = rig.run('ACCESS_REG', Buffer.from('08050000000000010000c00e00000000', 'hex'), 0x10 + dtorReg.size);
    expect(dtorReg.get(dtor, 'tear_down_to', 0x10)).toBe((1 << 29) | 3);
  });
});

describe('a malformed command', () => {
  const long = header(opcodeOf('CREATE_MKEY'), 0x110 + 1024);
  const cases: Readonly<
    Record<string, [keyof typeof DELIVERY, { before?: (entry: Buffer, input: Buffer[], output: Buffer[]) => void }]>
  > = {
    'of another type': ['DESCRIPTOR', { before: (entry) => entry.writeUInt8(3, 0) }],
    'without input': ['IN_LENGTH', { before: (entry) => entry.writeUInt32BE(0, 4) }],
    'with an endless input': ['IN_LENGTH', { before: (entry) => entry.writeUInt32BE(0xffff_ffff, 4) }],
    'without output': ['OUT_LENGTH', { before: (entry) => entry.writeUInt32BE(4, 0x38) }],
    'with an endless output': ['OUT_LENGTH', { before: (entry) => entry.writeUInt32BE(0x7fff_ffff, 0x38) }],
    'with a mailbox off its border': [
      'IN_POINTER',
      { before: (entry) => entry.writeBigUInt64BE(entry.readBigUInt64BE(8) + 8n, 8) },
    ],
    'with a mailbox outside of memory': ['IN_POINTER', { before: (entry) => entry.writeBigUInt64BE(0xdead_0000n, 8) }],
    'with an output mailbox outside of memory': [
      'OUT_POINTER',
      { before: (entry) => entry.writeBigUInt64BE(0xdead_0000n, 0x30) },
    ],
    'with a chain that ends too early': ['IN_POINTER', { before: (_entry, [box]) => box?.writeBigUInt64BE(1n, 0x230) }],
    'with a chain that is a ring': [
      'BLOCK_NUMBER',
      { before: (entry, [box]) => box?.writeBigUInt64BE(entry.readBigUInt64BE(8), 0x230) },
    ],
    'with another command’s mailbox': ['TOKEN', { before: (_entry, boxes) => boxes[1]?.writeUInt8(0x11, 0x23d) }],
  };

  for (const [what, [delivery, spoil]] of Object.entries(cases)) {
    it(`${what} is given back with delivery status ${delivery}`, () => {
      const rig = new Rig();
      expect(rig.command(long, 1024, spoil)).toMatchObject({ state: 'answered', delivery: DELIVERY[delivery] });
    });
  }

  it('whose signature does not fit is given back with delivery status SIGNATURE', () => {
    const rig = new Rig();
    const result = rig.command(long, 16, { after: (entry) => entry.writeUInt8(0x77, 0x10) });
    expect(result).toMatchObject({ state: 'answered', delivery: DELIVERY.SIGNATURE });
  });

  it('that is not the device’s is left alone', () => {
    const rig = new Rig();
    const result = rig.command(header(opcodeOf('ALLOC_PD')), 16, { after: (entry) => entry.writeUInt8(0, 63) });
    expect(result.output.every((byte) => byte === 0)).toBe(true);
  });

  it('in a queue outside of memory is one line in the log', () => {
    const rig = new Rig();
    rig.dword(0x14, 0xdead_0000);
    rig.dword(0x18, 1);
    expect(rig.log).toEqual([expect.stringContaining('a command at 0xdead0000 cannot be read')]);
  });
});

describe('the adapter', () => {
  it('has a command queue of 32 entries of 64 bytes, also after its address was written', () => {
    expect(new Rig().bar.read(0x14, 4).readUInt32BE() & 0xff).toBe(0x56);
  });

  it('is alive: its health counter moves', () => {
    const rig = new Rig();
    const counter = (): number => rig.bar.read(0x1010, 4).readUInt32BE();
    const before = counter();
    rig.pass(2000);
    expect(counter()).not.toBe(before);
  });

  it('answers QUERY_VUID with its VUID, or with what a fault says, one after the other', () => {
    const rig = new Rig();
    expect(vuidOf(rig)).toBe('VT1MLNXDATADIRECT0');
    rig.break({ vuids: ['FIRST', 'SECOND'] });
    expect([vuidOf(rig), vuidOf(rig), vuidOf(rig)]).toEqual(['FIRST', 'SECOND', 'SECOND']);
    rig.break({ vuids: [] });
    expect(vuidOf(rig)).toBe('');
  });

  it('refuses QUERY_VUID of another function, and where the capability is off', () => {
    const rig = new Rig();
    const ask = (vhca: number) => {
      const input = queryVuidIn.encode({ data_direct: 1, vhca_id: vhca });
      input.writeUInt16BE(opcodeOf('QUERY_VUID'), 0);
      return rig.command(input, 0xc0).status;
    };
    expect(ask(2)).toBe(STATUS.BAD_PARAM);
    rig.break({ capabilities: { query_vuid: 0 } });
    expect(ask(1)).toBe(STATUS.BAD_OP);
  });

  it('shows its capabilities, without those that a fault takes away', () => {
    const rig = new Rig();
    expect(generalCapabilities.read(capabilities(rig, 0))).toMatchObject({ data_direct: 1, crossing_vhca_mkey: 1 });
    expect(generalCapabilities2.read(capabilities(rig, 0x20))).toEqual({ query_vuid: 1 });
    rig.break({ capabilities: { data_direct: 0, query_vuid: 0 } });
    expect(generalCapabilities.read(capabilities(rig, 0))).toMatchObject({ data_direct: 0, crossing_vhca_mkey: 1 });
    expect(generalCapabilities2.read(capabilities(rig, 0x20))).toEqual({ query_vuid: 0 });
    expect(capabilities(rig, 7).every((byte) => byte === 0)).toBe(true);
  });

  it('has a port that is up or down, and the driver is told of a change', () => {
    const rig = new Rig();
    const eq = rig.createEq({ vector: 3, types: [9] });
    const state = (): number => {
      const context = queryHcaVportContextOut.get(
        rig.run('QUERY_HCA_VPORT_CONTEXT', Buffer.alloc(16), 0x210),
        'hca_vport_context',
      );
      return hcaVportContext.get(context, 'vport_state');
    };
    expect(state()).toBe(4);
    rig.break({ port: 'down' });
    expect(state()).toBe(1);
    expect([eq.bytes[1], eq.bytes[3]]).toEqual([9, 1]);
    rig.break({});
    expect([eq.bytes[64 + 1], eq.bytes[64 + 3]]).toEqual([9, 4]);
    expect(rig.raised).toEqual([3, 3]);
  });

  it('forgets everything with a reset', () => {
    const rig = new Rig();
    const key = rig.createMkey({ length64: 1 });
    rig.nic.reset();
    expect(rig.nic.resources.mkeys.get(key >>> 8)).toBeUndefined();
    expect(rig.bar.read(0x10, 4).readUInt32BE()).toBe(0);
  });
});

describe('events', () => {
  const COMMAND = 0x0a;

  it('tell of each command from the first command event queue on, but not of making or ending that queue', () => {
    const rig = new Rig();
    const eq = rig.createEq({ vector: 2, types: [COMMAND] });
    expect(rig.raised).toEqual([]);
    rig.run('ALLOC_PD');
    expect(rig.raised).toEqual([2]);
    expect([eq.bytes[1], eq.bytes.readUInt32BE(0x20), eq.bytes[63]]).toEqual([COMMAND, 1, 0]);
    const end = Buffer.alloc(16);
    end.writeUInt32BE(eq.number, 8);
    rig.run('DESTROY_EQ', end);
    rig.run('ALLOC_PD');
    expect(rig.raised).toEqual([2]);
  });

  it('that do not fit are lost and logged, and the owner bit turns with each round', () => {
    const rig = new Rig();
    const eq = rig.createEq({ types: [COMMAND], log: 1 });
    rig.run('ALLOC_PD');
    rig.run('ALLOC_PD');
    rig.run('ALLOC_PD');
    expect(rig.log).toEqual([expect.stringContaining('is full')]);
    const consumed = Buffer.alloc(4);
    consumed.writeUInt32BE(((eq.number << 24) | 2) >>> 0);
    rig.doorbell(0x10, 0x48, consumed);
    rig.run('ALLOC_PD');
    expect(eq.bytes[63]).toBe(1);
  });

  it('that were there before the queue was armed are told of again', () => {
    const rig = new Rig();
    const eq = rig.createEq({ vector: 5, types: [COMMAND] });
    rig.run('ALLOC_PD');
    const arm = Buffer.alloc(4);
    arm.writeUInt32BE((eq.number << 24) >>> 0);
    rig.doorbell(0x10, 0x40, arm);
    expect(rig.raised).toEqual([5, 5]);
  });
});
