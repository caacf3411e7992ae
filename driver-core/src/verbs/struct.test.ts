import { describe, expect, it } from 'vitest';

import * as abi from './abi.ts';
import { struct, u16, u32, u64, u8 } from './struct.ts';

describe('a layout', () => {
  it('aligns fields as C does and pads the end to the widest', () => {
    const mixed = struct('mixed', { a: u8, b: u32, c: u16, d: u64, e: u8 });
    expect(mixed.offsets).toEqual({ a: 0, b: 4, c: 8, d: 16, e: 24 });
    expect(mixed.size).toBe(32);
  });

  it('reads back what it wrote and leaves the rest alone', () => {
    const pair = struct('pair', { low: u16, high: u64 });
    const bytes = Buffer.alloc(40, 0xee);
    pair.write(bytes, 8, { high: 0x0102_0304_0506_0708n });
    expect(pair.read(bytes, 8)).toEqual({ low: 0xeeee, high: 0x0102_0304_0506_0708n });
    expect(bytes.subarray(16, 24)).toEqual(Buffer.of(8, 7, 6, 5, 4, 3, 2, 1));
    expect(bytes[7]).toBe(0xee);
  });
});

/** What a C compiler says of include/uapi/rdma. */
describe('the kernel’s structs', () => {
  it.each([
    [abi.ib_uverbs_ioctl_hdr, 24],
    [abi.ib_uverbs_attr, 16],
    [abi.ib_uverbs_alloc_pd, 8],
    [abi.ib_uverbs_alloc_pd_resp, 4],
    [abi.mlx5_ib_alloc_ucontext_req_v2, 32],
    [abi.mlx5_ib_alloc_ucontext_resp, 72],
    [abi.mlx5_ib_alloc_pd_resp, 4],
  ])('$name has $1 bytes', (layout, size) => {
    expect(layout.size).toBe(size);
  });

  it('have their fields where the kernel reads them', () => {
    expect(abi.ib_uverbs_ioctl_hdr.offsets).toEqual({
      length: 0,
      object_id: 2,
      method_id: 4,
      num_attrs: 6,
      reserved1: 8,
      driver_id: 16,
      reserved2: 20,
    });
    expect(abi.ib_uverbs_attr.offsets).toEqual({ attr_id: 0, len: 2, flags: 4, attr_data: 6, data: 8 });
    expect(abi.mlx5_ib_alloc_ucontext_req_v2.offsets).toMatchObject({ flags: 8, max_cqe_version: 16, lib_caps: 24 });
    expect(abi.mlx5_ib_alloc_ucontext_resp.offsets).toMatchObject({ response_length: 40, hca_core_clock_offset: 48 });
  });
});
