// A NIC's second RDMA device, as `rdma dev add <name> type SMI parent <device>` makes it where the port has several planes: one port a plane and a umad
// node for each, to manage the subnet of each, and no uverbs node (drivers/infiniband/hw/mlx5/main.c, mlx5_ib_add_sub_dev).
import type { ClassDevice } from './uevent.ts';

/** Of a ConnectX-8 on an XDR fabric. */
export const PLANES = 4;

export interface SmiDevice {
  readonly name: string;
  /** Of umadN, by plane. */
  readonly numbers: readonly number[];
}

/** In the order in which they go away. `umad` makes one of them by its number. */
export function classDevicesOfSmi(
  { name, numbers }: SmiDevice,
  umad: (device: { readonly number: number }) => ClassDevice,
): ClassDevice[] {
  return [...numbers.map((number) => umad({ number })), { subsystem: 'infiniband', name }];
}
