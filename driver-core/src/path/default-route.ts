// Which network interfaces carry the node's default route, so that nobody hands the node's own way out to a pod by accident.
import type { Files } from '../host/host.ts';
import { refused } from '../host/host.ts';

/** The interfaces named in the routing tables, and those below them: a bond's or bridge's members, a VLAN's parent. */
export function defaultRouteInterfaces(proc: Files, sysfs: Files): ReadonlySet<string> {
  const found = new Set<string>();
  const pending = [...ipv4(proc), ...ipv6(proc)];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    pending.push(...below(sysfs, name));
  }
  return found;
}

/** net/ipv4/fib_trie.c, fib_route_seq_show: Iface Destination Gateway Flags RefCnt Use Metric Mask … in hexadecimal. */
function ipv4(proc: Files): string[] {
  return rows(proc, 'net/route').flatMap(([name, destination, , , , , , mask]) =>
    name !== undefined && destination === '00000000' && mask === '00000000' ? [name] : [],
  );
}

/**
 * net/ipv6/route.c, ipv6_route_native_seq_show: destination, its prefix length, …, interface last.
 * Without a default route the kernel still shows one that answers "unreachable", on lo.
 */
function ipv6(proc: Files): string[] {
  return rows(proc, 'net/ipv6_route').flatMap(([destination, prefix, ...rest]) => {
    const name = rest.at(-1);
    return /^0{32}$/.test(destination ?? '') && prefix === '00' && name !== undefined && name !== 'lo' ? [name] : [];
  });
}

function rows(proc: Files, path: string): string[][] {
  const bytes = proc.read(path);
  if (refused(bytes)) return [];
  return bytes
    .toString('latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}

/** net/core/dev.c, netdev_adjacent_sysfs_add: a link lower_<name> for each. */
function below(sysfs: Files, name: string): string[] {
  const entries = sysfs.list(`class/net/${name}`);
  if (refused(entries)) return [];
  return entries.filter((entry) => entry.startsWith('lower_')).map((entry) => entry.slice('lower_'.length));
}
