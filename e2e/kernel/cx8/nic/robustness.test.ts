// Whatever a guest does, the NIC goes on: it never throws, which would end the server of all functions, and it still answers.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from './commands.ts';
import { Rig } from './driver.fixture.ts';
import { type CommandName, opcodeOf } from './opcodes.ts';
import { SERVICE } from './queue-pair.ts';

const answersStill = (rig: Rig): boolean => rig.number('ALLOC_PD') > 0;
/** Mostly zeros and small numbers, which lead further than noise does. */
const byte = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 16 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
);
const bytes = (length: number) =>
  fc.array(byte, { minLength: length, maxLength: length }).map((all) => Buffer.from(all));

describe('a NIC', () => {
  it('survives any commands in any order', () => {
    const command = fc.record({
      name: fc.constantFrom(...(Object.keys(COMMANDS) as CommandName[])),
      input: bytes(0x130),
    });
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 20 }), (commands) => {
        const rig = new Rig();
        for (const { name, input } of commands) {
          input.writeUInt16BE(opcodeOf(name), 0);
          expect(rig.command(input, 0x1010).state).toBe('answered');
        }
        expect(answersStill(rig)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('survives any write to its BAR', () => {
    const write = fc.record({
      offset: fc.oneof(
        fc.integer({ min: 0, max: 0x1100 }),
        fc.integer({ min: 0x10000, max: 0x11000 }),
        fc.nat(0x1ff_fff0),
      ),
      data: fc.constantFrom(1, 2, 4, 8).chain(bytes),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 30 }), (writes) => {
        const rig = new Rig();
        const cq = rig.createCq(rig.createEq({ types: [0x0a] }).number);
        rig.createQp(cq).connect(1, 7);
        for (const { offset, data } of writes) rig.bar.write(offset, data);
        for (let at = 0; at < 0x2000; at += 0x100) expect(rig.bar.read(at, 8).length).toBe(8);
        rig.pass(100_000);
      }),
      { numRuns: 300 },
    );
  });

  it('survives any work request', () => {
    const request = fc.record({
      opcode: fc.constantFrom(0x00, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x25, 0x77),
      immediate: fc.nat(0x2000),
      segments: fc.array(bytes(16), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 6 }),
        fc.constantFrom(...Object.values(SERVICE)),
        (requests, service) => {
          const rig = new Rig();
          const cq = rig.createCq(rig.createEq({}).number);
          const qp = rig.createQp(cq, { service });
          qp.connect(qp.number, 7, { rnrRetry: 1 });
          rig.createMkey({ length64: 1 });
          for (const { opcode, segments, immediate } of requests) qp.post(opcode, segments, { immediate });
          rig.pass(100_000);
          expect(rig.due).toEqual([]);
          expect(answersStill(rig)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});
