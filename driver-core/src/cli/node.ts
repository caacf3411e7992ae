// A node as the commands show it: one round with what was seen, what it means, and what could not be seen for want of permission.
import type { Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { sentenceOf } from '../host/malformed.ts';
import type { PortAcs } from '../path/acs.ts';
import { assessAcs } from '../path/acs.ts';
import { assess } from '../path/assess.ts';
import { Observer } from '../path/observe.ts';
import type { Path, VerificationLevel } from '../path/path.ts';
import type { Snapshot } from '../path/snapshot.ts';
import type { Platform } from '../pci/topology.ts';
import { topologyOf } from '../pci/topology.ts';
import type { Terminal } from './command.ts';

/** Something that this process may not read. */
interface Unread {
  readonly what: 'vpd' | 'acs' | 'uverbs';
  readonly functions: readonly string[];
}

export interface Node {
  readonly kernelRelease: string;
  readonly platform: Platform;
  readonly snapshot: Snapshot;
  readonly paths: readonly Path[];
  readonly ports: readonly PortAcs[];
  readonly unread: readonly Unread[];
  readonly malformed: Snapshot['malformed'];
}

export async function readNode(host: Host, verification: VerificationLevel): Promise<Node> {
  const snapshot = await new Observer(host).observe({ verification });
  return {
    kernelRelease: host.kernelRelease,
    platform: topologyOf(snapshot.functions).platform,
    snapshot,
    paths: assess(snapshot),
    ports: assessAcs(snapshot),
    unread: unreadOf(snapshot),
    malformed: snapshot.malformed,
  };
}

function unreadOf({ nics, dmas, acs }: Snapshot): Unread[] {
  const kinds: Unread[] = [
    { what: 'vpd', functions: addressesOf([...nics, ...dmas].filter(({ vpd }) => isForbidden(vpd))) },
    { what: 'acs', functions: [...acs].filter(([, seen]) => seen === 'hidden').map(([address]) => address) },
    { what: 'uverbs', functions: nics.filter(({ kernel }) => isForbidden(kernel?.refusal?.errno)).map(({ id }) => id) },
  ];
  return kinds.filter(({ functions }) => functions.length > 0);
}

function addressesOf(seen: readonly { readonly fn: { readonly address: string } }[]): string[] {
  return [...new Set(seen.map(({ fn }) => fn.address))];
}

function isForbidden(answer: unknown): boolean {
  return refused(answer) && (answer.code === 'EACCES' || answer.code === 'EPERM');
}

/** What is missing, and what that means. */
const UNREAD: Readonly<Record<Unread['what'], (count: number) => string>> = {
  vpd: (count) =>
    `the VPD of ${count} functions may be read by root only, so pairs are shown as far as the kernel tells them`,
  acs: (count) => `the ACS of ${count} ports may be read by root only, so it is not assessed`,
  uverbs: (count) => `the uverbs nodes of ${count} NICs may not be opened, so the kernel was not asked about them`,
};

/** A file that is all wrong would fill the screen. */
const MOST_MALFORMED = 5;

/** Beside the answer and not in it. */
export function tellUnread({ unread, malformed }: Node, { err }: Terminal): void {
  for (const each of malformed.slice(0, MOST_MALFORMED)) err(`note: ${sentenceOf(each)}`);
  const more = malformed.length - MOST_MALFORMED;
  if (more > 0) err(`note: ${more} more such places; --json has all of them`);
  for (const { what, functions } of unread) err(`note: ${UNREAD[what](functions.length)}`);
}
