import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Loop } from './loop.ts';
import { send } from './native.ts';
import { commandOutput } from './nic/layouts.ts';
import { type CommandName, opcodeOf } from './nic/opcodes.ts';
import { functionSocket } from './sockets.ts';
import { smallTray } from './tray.fixture.ts';
import { Tray } from './tray.ts';
import { Client, File } from './vfio-user/client.fixture.ts';
import * as wire from './vfio-user/wire.ts';

const CONFIG = 7;
const RESET = 13;
const DMA_MAP = 2;
/** Where the machine's memory is for the NIC; its first page is the command queue. */
const MEMORY = 0x10_0000;

let directory: string;
let loop: Loop;
let log: string[];
let tray: Tray;
let memory: File;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tray-test-'));
  loop = new Loop();
  log = [];
  tray = new Tray(smallTray(), directory, loop, (line) => void log.push(line));
  tray.plug();
  memory = new File(directory, 'memory', 4096);
});

afterEach(() => {
  tray.unplug();
  memory.remove();
  rmSync(directory, { recursive: true });
});

const plugInto = (name: string): Client => new Client(loop, functionSocket(directory, name));

function dword(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A machine that has NIC and memory, and a command queue in it. */
function machine(): Client {
  const client = plugInto('nic0');
  const map = wire.dmaMap.encode({ argsz: 32, flags: 3, offset: 0n, address: BigInt(MEMORY), size: 4096n });
  client.request(DMA_MAP, map, [memory.fd]);
  client.write(0, 0x14, dword(MEMORY));
  return client;
}

/** Through memory and doorbell, as a driver does it: the number that the command made. */
function command(client: Client, name: CommandName): number {
  const entry = Buffer.alloc(64);
  entry.writeUInt8(7, 0);
  entry.writeUInt32BE(16, 4);
  entry.writeUInt16BE(opcodeOf(name), 16);
  entry.writeUInt32BE(16, 0x38);
  entry.writeUInt8(1, 63);
  entry.writeUInt8(0xff ^ entry.reduce((sum, byte) => sum ^ byte, 0), 61);
  memory.write(entry);
  client.write(0, 0x18, dword(1));
  const output = memory.content().subarray(0x20, 0x30);
  expect(commandOutput.get(output, 'status')).toBe(0);
  return output.readUInt32BE(8) & 0xff_ffff;
}

describe('a tray', () => {
  it('is functions on sockets, each with its own identity', () => {
    const ids = [...tray.endpoints.keys()].map((name) => [name, plugInto(name).read(CONFIG, 0, 4).toString('hex')]);
    expect(ids).toEqual([
      ['nic0', 'b3152310'],
      ['nic1', 'b3152310'],
      ['dma0', 'b3150021'],
      ['dma1', 'b3150021'],
      ['gpu0', 'de10c231'],
    ]);
  });

  it('carries out a command whose entry is in the machine’s memory', () => {
    expect(command(machine(), 'ALLOC_PD')).toBe(1);
  });
});

describe('a machine', () => {
  it('that is reset in the middle finds the NIC as new', () => {
    const client = machine();
    expect([command(client, 'ALLOC_PD'), command(client, 'ALLOC_PD')]).toEqual([1, 2]);
    expect(client.request(RESET).errno).toBe(0);
    client.write(0, 0x18, dword(1));
    expect(log).toEqual([expect.stringContaining('nic0: a command at 0x0 cannot be read')]);
    client.write(0, 0x14, dword(MEMORY));
    expect(command(client, 'ALLOC_PD')).toBe(1);
  });

  it('that dies in the middle of a message leaves nothing behind, and the next one is served', () => {
    const first = machine();
    command(first, 'ALLOC_PD');
    first.post(first.message(10, wire.regionAccess.encode({ region: 0, count: 4 })).subarray(0, 20));
    first.close();
    loop.turn(0);
    expect(log).toEqual(['nic0: the machine has gone']);
    expect(tray.nics.get('nic0')?.report()).toEqual({ commands: {}, traffic: {}, memoryKeys: 0, queuePairs: 0 });
    expect(command(machine(), 'ALLOC_PD')).toBe(1);
  });

  it('that talks nonsense on one function loses that one alone', () => {
    const [nic, gpu] = [machine(), plugInto('gpu0')];
    gpu.post(Buffer.alloc(16, 0xff));
    expect(gpu.reply()).toBe('end');
    expect(log).toEqual([expect.stringContaining('gpu0: the vfio-user client announced a message of')]);
    expect(command(nic, 'ALLOC_PD')).toBe(1);
  });

  it('may say anything: it is answered or loses its connection, and the next one is served', () => {
    const message = fc.record({
      command: fc.nat(14),
      body: fc.oneof(
        fc.uint8Array({ maxLength: 48 }),
        fc
          .record({ offset: fc.nat(0x1_2000), region: fc.constantFrom(0, CONFIG, 9), count: fc.nat(16) })
          .map((access) =>
            Buffer.concat([
              wire.regionAccess.encode({ ...access, offset: BigInt(access.offset) }),
              Buffer.alloc(access.count, 0xa5),
            ]),
          ),
      ),
      flags: fc.constantFrom(0, wire.NO_REPLY_WANTED, 0xffff_ffff),
      spoiltSize: fc.option(fc.nat(0x2_0000), { freq: 8 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
        const hostile = plugInto('nic0');
        for (const { command: number, body, flags, spoiltSize } of messages) {
          const bytes = hostile.message(number, Buffer.from(body), flags);
          if (spoiltSize !== null) bytes.writeUInt32LE(spoiltSize, 4);
          // Nobody reads there any more once the server has hung up.
          if (!send(hostile.fd, bytes)) break;
          loop.turn(0);
        }
        hostile.close();
        loop.turn(0);
        const next = machine();
        expect(command(next, 'ALLOC_PD')).toBe(1);
        next.close();
        loop.turn(0);
      }),
      { numRuns: 150, seed: 8 },
    );
  });

  it('whose firmware is dead gets no answer, and one when it is alive again', () => {
    const client = machine();
    tray.nics.get('nic0')?.setFaults({ dead: true });
    expect(command(client, 'ALLOC_PD')).toBe(0);
    expect(memory.content()[63]).toBe(1);
    tray.nics.get('nic0')?.setFaults({});
    expect(command(client, 'ALLOC_PD')).toBe(1);
    expect(memory.content()[63]).toBe(0);
  });
});
