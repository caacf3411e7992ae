import { describe, expect, it } from 'vitest';
import { patched, type Patch, patches } from './patched-qemu.ts';

const constants = patches.map(({ from: { vendor, device } }) => {
  const bytes = Buffer.from([0xd8, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeUInt16LE(vendor, 4);
  bytes.writeUInt16LE(device, 6);
  return bytes;
});
const code = Buffer.from('code ');
const program = Buffer.concat(constants.flatMap((constant) => [code, constant]));

describe('the patched QEMU', () => {
  it('has other ids and is otherwise the same', () => {
    const changed = patched(program, patches);
    const different = [...program.keys()].filter((at) => program[at] !== changed[at]);
    const ids = new Set([...program.keys()].filter((at) => at % 13 >= 9));
    expect(different.every((at) => ids.has(at))).toBe(true);
    expect(changed.readUInt16LE(9)).toBe(0x10de);
    expect(changed.readUInt16LE(11)).toBe(0x22b1);
  });

  it('is not the program that was given', () => {
    const before = Buffer.from(program);
    patched(program, patches);
    expect(program).toEqual(before);
  });

  it.each([
    ['no place', 0, Buffer.from('another QEMU')],
    ['two places', 2, Buffer.concat([program, ...constants])],
  ])('is refused where ids have %s', (_, found, other) => {
    const { model } = patches[0] as Patch;
    expect(() => patched(other, patches)).toThrow(`the ids of ${model} are ${found} times in this QEMU`);
  });
});
