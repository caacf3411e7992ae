// One uverbs ioctl: attributes in, bytes and pointers to the kernel, handles out. Which requests there are stands in context.ts and memory-region.ts.
import type { Answer, Device, Pointer } from '../host/host.ts';
import { refused } from '../host/host.ts';
import {
  ib_uverbs_attr,
  ib_uverbs_ioctl_hdr,
  RDMA_DRIVER_MLX5,
  RDMA_VERBS_IOCTL,
  UVERBS_ATTR_F_MANDATORY,
} from './abi.ts';

/** Sent MANDATORY unless it says otherwise: an older kernel then refuses what it does not know, instead of quietly doing less. */
export interface Attribute {
  readonly id: number;
  readonly optional?: true;
  readonly length: number;
  /** Inline payload or handle; unused where there is a target. */
  readonly data: bigint;
  readonly target?: Buffer;
}

/** drivers/infiniband/core/uverbs_ioctl.c (uverbs_process_attr): input of at most this size stands in the attribute itself. */
const INLINE_BYTES = 8;

export function input(id: number, bytes: Buffer): Attribute {
  if (bytes.length > INLINE_BYTES) return { id, length: bytes.length, data: 0n, target: bytes };
  const padded = Buffer.alloc(INLINE_BYTES);
  bytes.copy(padded);
  return { id, length: bytes.length, data: padded.readBigUInt64LE() };
}

export function input32(id: number, value: number): Attribute {
  return { id, length: 4, data: BigInt.asUintN(32, BigInt(value)) };
}

export function input64(id: number, value: bigint): Attribute {
  return { id, length: 8, data: value };
}

/** The kernel writes an output of any size through the pointer, so `target` has to outlive the call. */
export function output(id: number, target: Buffer): Attribute {
  return { id, length: target.length, data: 0n, target };
}

export function handle(id: number, value: number): Attribute {
  return { id, length: 0, data: BigInt(value) };
}

/** A handle that the kernel makes; read it from the reply. */
export function newHandle(id: number): Attribute {
  return handle(id, 0);
}

export interface Method {
  readonly object: number;
  readonly method: number;
}

/** The handle that the kernel wrote into the attribute with this id. */
export type Reply = (id: number) => number;

export async function call(
  device: Device,
  { object, method }: Method,
  attributes: readonly Attribute[],
  driver = RDMA_DRIVER_MLX5,
): Promise<Answer<Reply>> {
  const { bytes, pointers } = encode({ object, method }, attributes, driver);
  const answer = await device.ioctl(RDMA_VERBS_IOCTL, bytes, pointers);
  if (refused(answer)) return answer;
  // Handles have 32 bits (drivers/infiniband/core/rdma_core.c, an xarray of u32); what stands above is not to be believed.
  return (id) => {
    const { data } = ib_uverbs_attr.read(bytes, at(attributes.findIndex((attribute) => attribute.id === id)));
    return Number(BigInt.asUintN(32, data));
  };
}

function encode({ object, method }: Method, attributes: readonly Attribute[], driver: number) {
  const bytes = Buffer.alloc(at(attributes.length));
  const pointers: Pointer[] = [];
  ib_uverbs_ioctl_hdr.write(bytes, 0, {
    length: bytes.length,
    object_id: object,
    method_id: method,
    num_attrs: attributes.length,
    driver_id: driver,
  });
  for (const [index, { id, length, data, target, optional }] of attributes.entries()) {
    const flags = optional ? 0 : UVERBS_ATTR_F_MANDATORY;
    ib_uverbs_attr.write(bytes, at(index), { attr_id: id, len: length, flags, data });
    if (target) pointers.push({ offset: at(index) + ib_uverbs_attr.offsets.data, target });
  }
  return { bytes, pointers };
}

function at(index: number): number {
  return ib_uverbs_ioctl_hdr.size + index * ib_uverbs_attr.size;
}
