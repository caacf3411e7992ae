// The network namespace of the node, and the one cable between it and the host.

import { BlockList } from 'node:net';
import { access, readdir, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { clusterError } from '../errors.ts';
import { run } from '../../rig/run.ts';
import { layout, network } from './layout.ts';
import { mountsOf } from './mounts.ts';

const { namespace, hostLink, nodeLink, hostAddress, nodeAddress, prefixLength } = network;

const steps: readonly string[] = [
  `netns add ${namespace}`,
  `link add ${hostLink} type veth peer name ${nodeLink} netns ${namespace}`,
  `addr add ${hostAddress}/${prefixLength} dev ${hostLink}`,
  `link set ${hostLink} up`,
  `-n ${namespace} link set lo up`,
  `-n ${namespace} addr add ${nodeAddress}/${prefixLength} dev ${nodeLink}`,
  `-n ${namespace} link set ${nodeLink} up`,
  `-n ${namespace} route add default via ${hostAddress}`, // kubelet and API server look for the default route's address
];

export async function makeNamespace(signal?: AbortSignal): Promise<void> {
  await requireFreeAddresses();
  for (const step of steps) await run('ip', step.split(' '), { signal });
}

/** What `ip -json address` prints, as far as it matters here. */
export interface LinkAddresses {
  readonly ifname: string;
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
}

/** To answer for the address of a gateway or a neighbour would cut the machine off. */
async function requireFreeAddresses(): Promise<void> {
  const { stdout } = await run('ip', ['-json', '-4', 'address']);
  const clash = clashOf(JSON.parse(stdout) as readonly LinkAddresses[]);
  if (clash === undefined) return;
  throw clusterError('NETWORK_IN_USE', { ...clash, needed: `${hostAddress}/${prefixLength}` });
}

/** A network of this machine that the cable's shares an address with. */
export function clashOf(links: readonly LinkAddresses[]): { link: string; found: string } | undefined {
  for (const { ifname, addr_info } of links) {
    for (const { local, prefixlen } of addr_info) {
      const contains = subnet(local, prefixlen).check(hostAddress) || subnet(hostAddress, prefixLength).check(local);
      if (contains) return { link: ifname, found: `${local}/${prefixlen}` };
    }
  }
  return undefined;
}

function subnet(address: string, length: number): BlockList {
  const list = new BlockList();
  list.addSubnet(address, length);
  return list;
}

/** nsenter, not `ip netns exec`: that one mounts a fresh /sys, in which the kubelet finds no cgroups. `mounts`: whether the node's too. */
export function inNamespaces(program: string, args: readonly string[], { mounts }: { mounts: boolean }): string[] {
  const ofMounts = mounts ? [`--mount=${layout.mountNamespace}`] : [];
  return ['nsenter', `--net=${network.namespaceFile}`, ...ofMounts, program, ...args];
}

export async function removeNamespace(): Promise<void> {
  if (await exists(`/sys/class/net/${hostLink}`)) await run('ip', ['link', 'delete', hostLink]);
  if (await exists(network.namespaceFile)) await run('ip', ['netns', 'delete', namespace]);
  await removeNamespaceDirectory();
}

/** The first `ip netns add` of a machine mounts the directory on itself; the last delete leaves that behind. */
async function removeNamespaceDirectory(): Promise<void> {
  const directory = dirname(network.namespaceFile);
  if (!(await exists(directory)) || (await readdir(directory)).length > 0) return;
  for (const { path } of await mountsOf(directory)) await run('umount', [path]);
  await rmdir(directory);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
