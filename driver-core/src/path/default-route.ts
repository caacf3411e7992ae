// Which network interfaces carry the node's default route, so that nobody hands the node's own way out to a pod by accident.
import type { Files } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { TellMalformed } from '../host/malformed.ts';
import { malformedAt } from '../host/malformed.ts';

/** The interfaces named in the routing tables, and those below them: a bond's or bridge's members, a VLAN's parent. Lines that are malformed are told of. */
export function defaultRouteInterfaces(
  proc: Files,
  sysfs: Files,
  tell: TellMalformed = () => undefined,
): ReadonlySet<string> {
  const found = new Set<string>();
  const pending = [...ipv4(proc, tell), ...ipv6(proc, tell)];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    pending.push(...below(sysfs, name));
  }
  return found;
}

interface Table {
  readonly path: string;
  readonly rule: string;
  readonly line: RegExp;
}

/** net/ipv4/fib_trie.c, fib_route_seq_show. */
const IPV4: Table = {
  path: 'net/route',
  rule: 'Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT, addresses of eight hexadecimal digits',
  line: /^(?:Iface\s.*|\S+\s+[0-9A-F]{8}\s+[0-9A-F]{8}\s+[0-9A-F]{4}(?:\s+-?\d+){3}\s+[0-9A-F]{8}(?:\s+-?\d+){3}\s*)$/,
};

/** net/ipv6/route.c, ipv6_route_native_seq_show. */
const IPV6: Table = {
  path: 'net/ipv6_route',
  rule: 'destination, prefix length, source, prefix length, next hop, metric, references, use, flags, interface, in hexadecimal',
  line: /^[0-9a-f]{32} [0-9a-f]{2} [0-9a-f]{32} [0-9a-f]{2} [0-9a-f]{32}(?: [0-9a-f]{8}){4} +\S+$/,
};

function ipv4(proc: Files, tell: TellMalformed): string[] {
  return rows(proc, IPV4, tell).flatMap(([name, destination, , , , , , mask]) =>
    name !== undefined && destination === '00000000' && mask === '00000000' ? [name] : [],
  );
}

/** Without a default route the kernel still shows one that answers "unreachable", on lo. */
function ipv6(proc: Files, tell: TellMalformed): string[] {
  return rows(proc, IPV6, tell).flatMap(([destination, prefix, ...rest]) => {
    const name = rest.at(-1);
    return /^0{32}$/.test(destination ?? '') && prefix === '00' && name !== undefined && name !== 'lo' ? [name] : [];
  });
}

function rows(proc: Files, { path, rule, line }: Table, tell: TellMalformed): string[][] {
  const bytes = proc.read(path);
  if (refused(bytes)) {
    // Not mounted, or a kernel without IPv6.
    if (bytes.code !== 'ENOENT')
      tell({ file: `/proc/${path}`, offset: 0, rule, found: `${bytes.code} (${bytes.number})` });
    return [];
  }
  let offset = 0;
  return bytes
    .toString('latin1')
    .split('\n')
    .flatMap((text) => {
      const at = offset;
      offset += text.length + 1;
      if (text === '') return [];
      if (line.test(text)) return [text.trim().split(/\s+/)];
      tell(malformedAt(`/proc/${path}`, at, rule, text.trimEnd()));
      return [];
    });
}

/** net/core/dev.c, netdev_adjacent_sysfs_add: a link lower_<name> for each. */
function below(sysfs: Files, name: string): string[] {
  const entries = sysfs.list(`class/net/${name}`);
  if (refused(entries)) return [];
  return entries.filter((entry) => entry.startsWith('lower_')).map((entry) => entry.slice('lower_'.length));
}
