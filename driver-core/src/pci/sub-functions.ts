// SFs of mlx5: parts of a PF that have firmware, drivers and RDMA devices of their own and are no PCI functions. The kernel shows each as an auxiliary
// device below its PF, with its number (drivers/net/ethernet/mellanox/mlx5/core/sf/dev/dev.c). What hangs on one: class-devices.ts.
import type { Files } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { PciFunction } from './functions.ts';

export interface SubFunction {
  /** Stays the same when the SF is deactivated and activated again: 0000:03:00.0/sf88, and with its auxiliary name where the number cannot be read. */
  readonly id: string;
  /** Below the sysfs root: devices/pci0000:00/…/0000:03:00.0/mlx5_core.sf.4. */
  readonly path: string;
  /** On the auxiliary bus, where it is numbered anew each time it comes: mlx5_core.sf.4. */
  readonly auxiliary: string;
  /** As `devlink port add … sfnum` said. */
  readonly sfnum: number | undefined;
  readonly pf: PciFunction;
}

const DEVICES = 'bus/auxiliary/devices';
const NAME = /^mlx5_core\.sf\.\d{1,10}$/;
/** How every entry of it begins. */
const UP = '../../../';

/** Those of these functions, by PF and number. All of the bus is one list: no function is looked into. */
export function listSubFunctions(sysfs: Files, functions: readonly PciFunction[]): SubFunction[] {
  const names = sysfs.list(DEVICES);
  const own = refused(names) ? [] : names.filter((name) => NAME.test(name));
  if (own.length === 0) return [];
  const byPath = new Map(functions.map((fn) => [fn.path, fn]));
  return own
    .flatMap((name) => readSubFunction(sysfs, name, byPath) ?? [])
    .toSorted((a, b) => (a.sfnum ?? Infinity) - (b.sfnum ?? Infinity));
}

function readSubFunction(
  sysfs: Files,
  auxiliary: string,
  functions: ReadonlyMap<string, PciFunction>,
): SubFunction | undefined {
  const target = sysfs.link(`${DEVICES}/${auxiliary}`);
  if (refused(target) || !target.startsWith(UP) || !target.endsWith(`/${auxiliary}`)) return undefined;
  const path = target.slice(UP.length);
  const pf = functions.get(path.slice(0, -auxiliary.length - 1));
  if (!pf) return undefined;
  const sfnum = numberOf(sysfs, path);
  return { id: `${pf.address}/${sfnum === undefined ? auxiliary : `sf${sfnum}`}`, path, auxiliary, sfnum, pf };
}

/** sfnum_show: a u32 in decimal. */
function numberOf(sysfs: Files, path: string): number | undefined {
  const bytes = sysfs.read(`${path}/sfnum`);
  const text = refused(bytes) ? '' : bytes.toString('latin1').trim();
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
