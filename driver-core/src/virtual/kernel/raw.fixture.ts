// For tests only: raw uverbs requests, the numbers written out from the kernel's headers so that a mistake in verbs/abi.ts cannot agree with itself.
import { expect } from 'vitest';

import { refused } from '../../host/host.ts';
import type { Answer, Device, Pointer } from '../../host/host.ts';

export const VERBS = 0xc0181b01;

export interface Attribute {
  id: number;
  length?: number;
  flags?: number;
  reserved?: number;
  /** Inline value, handle, … */
  data?: bigint;
  /** … or memory behind the pointer. */
  target?: Buffer;
}
export interface Header {
  length?: number;
  driver?: number;
  reserved1?: bigint;
  reserved2?: number;
}

export function encode(object: number, method: number, attributes: readonly Attribute[], header: Header = {}) {
  const bytes = Buffer.alloc(24 + 16 * attributes.length);
  bytes.writeUInt16LE(header.length ?? bytes.length, 0);
  bytes.writeUInt16LE(object, 2);
  bytes.writeUInt16LE(method, 4);
  bytes.writeUInt16LE(attributes.length, 6);
  bytes.writeBigUInt64LE(header.reserved1 ?? 0n, 8);
  bytes.writeUInt32LE(header.driver ?? 1, 16);
  bytes.writeUInt32LE(header.reserved2 ?? 0, 20);
  const pointers: Pointer[] = [];
  for (const [index, attribute] of attributes.entries()) {
    const at = 24 + 16 * index;
    bytes.writeUInt16LE(attribute.id, at);
    bytes.writeUInt16LE(attribute.length ?? attribute.target?.length ?? 0, at + 2);
    bytes.writeUInt16LE(attribute.flags ?? 0, at + 4);
    bytes.writeUInt16LE(attribute.reserved ?? 0, at + 6);
    bytes.writeBigUInt64LE(attribute.data ?? 0n, at + 8);
    if (attribute.target !== undefined) pointers.push({ offset: at + 8, target: attribute.target });
  }
  return { bytes, pointers };
}

/** 0, or the errno's name. */
export async function said(answer: Promise<Answer<0>>): Promise<string | 0> {
  const got = await answer;
  return refused(got) ? got.code : got;
}

export async function ioctl(device: Device, ...request: Parameters<typeof encode>) {
  const { bytes, pointers } = encode(...request);
  const answer = await device.ioctl(VERBS, bytes, pointers);
  return { answer: refused(answer) ? answer.code : answer, number: refused(answer) ? answer.number : 0, bytes };
}

export const u32 = (value: number): { length: number; data: bigint } => ({ length: 4, data: BigInt(value >>> 0) });
export const u64 = (data: bigint): { length: number; data: bigint } => ({ length: 8, data });

export const contextRequest = (): Buffer => {
  const request = Buffer.alloc(32);
  request.writeUInt8(1, 16);
  request.writeBigUInt64LE(3n, 24);
  return request;
};
export const getContext = (device: Device, request = contextRequest()) =>
  ioctl(device, 0, 3, [
    { id: 0x1000, target: request },
    { id: 0x1001, target: Buffer.alloc(72) },
  ]);
export const allocPd = async (device: Device): Promise<bigint> => {
  const handle = Buffer.alloc(4);
  const attributes = [
    { id: 2, ...u64(3n) },
    { id: 0, ...u64(0n) },
    { id: 1, target: handle },
    { id: 0x1001, target: Buffer.alloc(4) },
  ];
  expect((await ioctl(device, 0, 0, attributes)).answer).toBe(0);
  return BigInt(handle.readUInt32LE());
};

/** Of the kernel of gb300-tray. */
export const PAGE = 65_536n;

export const path = (device: Device, room = 4096) => {
  const target = Buffer.alloc(room, 0xaa);
  return ioctl(device, 0, 0x1001, [{ id: 0x1000, flags: 1, target }]).then((got) => ({ ...got, target }));
};

export interface Wanted {
  pd?: bigint;
  offset?: bigint;
  length?: bigint;
  iova?: bigint;
  fd?: number;
  access?: number;
  dataDirect?: number | undefined;
  mandatory?: boolean;
}
export const register = async (device: Device, wanted: Wanted) => {
  const keys = [Buffer.alloc(4), Buffer.alloc(4)] as const;
  const { pd = 0n, offset = 0n, length = PAGE, iova = 0n, fd = -1, access = 0xf, mandatory = true } = wanted;
  const flags = 'dataDirect' in wanted ? wanted.dataDirect : 1;
  const got = await ioctl(device, 7, 4, [
    { id: 0 },
    { id: 1, data: pd },
    { id: 2, ...u64(offset) },
    { id: 3, ...u64(length) },
    { id: 4, ...u64(iova) },
    { id: 5, ...u32(fd) },
    { id: 6, ...u32(access) },
    { id: 7, target: keys[0] },
    { id: 8, target: keys[1] },
    ...(flags === undefined ? [] : [{ id: 0x1000, flags: mandatory ? 1 : 0, ...u32(flags) }]),
  ]);
  return {
    ...got,
    handle: got.bytes.readBigUInt64LE(24 + 8),
    lkey: keys[0].readUInt32LE(),
    rkey: keys[1].readUInt32LE(),
  };
};
