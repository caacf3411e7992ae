// Work queue entries as the drivers write them: segments of 16 bytes (struct mlx5_wqe_* of include/linux/mlx5/qp.h).
import { bits, dword, layout, qword } from '../layout.ts';

export const SEGMENT = 16;

export const OPCODE = {
  NOP: 0x00,
  RDMA_WRITE: 0x08,
  RDMA_WRITE_IMMEDIATE: 0x09,
  SEND: 0x0a,
  SEND_IMMEDIATE: 0x0b,
  RDMA_READ: 0x10,
  UMR: 0x25,
} as const;

export const controlSegment = layout('mlx5_wqe_ctrl_seg', SEGMENT, {
  index: bits(0x00, 23, 8),
  opcode: bits(0x00, 7, 0),
  qpn: bits(0x04, 31, 8),
  segments: bits(0x04, 5, 0),
  /** 2: the driver wants a completion; 3: with an event for solicited ones too. */
  completion: bits(0x08, 3, 2),
  /** Immediate data, or the memory key that an UMR changes. */
  immediate: dword(0x0c),
});
export const COMPLETION_WANTED = 2;

export const remoteSegment = layout('mlx5_wqe_raddr_seg', SEGMENT, { address: qword(0x00), key: dword(0x08) });

export const dataSegment = layout('mlx5_wqe_data_seg', SEGMENT, {
  /** The data follow in the entry itself. */
  inline: bits(0x00, 31),
  byte_count: bits(0x00, 30, 0),
  key: dword(0x04),
  address: qword(0x08),
});
/** lkey that ends a receive entry with fewer pieces than it has room for (MLX5_INVALID_LKEY). */
const END_OF_LIST = 0x100;

export const umrControlSegment = layout('mlx5_wqe_umr_ctrl_seg', 0x30, {
  inline: bits(0x00, 31),
  fail_if_free: bits(0x00, 30),
  fail_if_not_free: bits(0x00, 29),
  offset_enabled: bits(0x00, 28),
  octowords: bits(0x04, 31, 16),
  offset: bits(0x04, 15, 0),
  mask: qword(0x08),
  offset_high: dword(0x10),
});

export interface LocalPiece {
  readonly key: number;
  readonly address: bigint;
  readonly length: number;
}
/** Where the local data of an entry are. */
export type LocalData = LocalPiece | Buffer;

/** The data segments from `at` to the end of the entry. */
export function localData(entry: Buffer, from: number): LocalData[] {
  const data: LocalData[] = [];
  for (let at = from; at + 4 <= entry.length;) {
    const inline = (entry.readUInt8(at) & 0x80) !== 0;
    if (inline) {
      const length = entry.readUInt32BE(at) & 0x3ff;
      data.push(Buffer.from(entry.subarray(at + 4, at + 4 + length)));
      at += Math.ceil((4 + length) / SEGMENT) * SEGMENT;
      continue;
    }
    const { byte_count, key, address } = dataSegment.read(entry, at);
    if (key === END_OF_LIST) break;
    data.push({ key, address, length: byte_count });
    at += SEGMENT;
  }
  return data;
}
