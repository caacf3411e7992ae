// Who a NIC is on its fabric and to its driver.

export interface Identity {
  /** Of the adapter's function within the device: 16 bits. */
  readonly vhcaId: number;
  readonly guid: bigint;
  readonly lid: number;
  /** What QUERY_VUID answers for data direct: up to 128 characters. */
  readonly vuid: string;
}

/** Of an InfiniBand port without a router: the subnet prefix, then the port's GUID. */
export function portGid({ guid }: Identity): Buffer {
  const gid = Buffer.alloc(16);
  gid.writeBigUInt64BE(0xfe80_0000_0000_0000n, 0);
  gid.writeBigUInt64BE(guid, 8);
  return gid;
}
