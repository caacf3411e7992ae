// What the rig takes from Debian for the machine itself.

import { ensureInstalled, type Need } from '../../rig/debian-install.ts';
import type { Report } from '../../rig/progress.ts';

/** runc comes from Debian because a runc built by `go build` has no seccomp, and every pod asks for it. */
const needs: readonly Need[] = [
  { file: 'runc', package: 'runc' },
  { file: '/usr/lib/cni/bridge', package: 'containernetworking-plugins' },
  { file: 'ip', package: 'iproute2' },
  { file: 'nft', package: 'nftables' },
  { file: 'openssl', package: 'openssl' },
  { file: 'unzip', package: 'unzip' },
  { file: 'nsenter', package: 'util-linux' },
  { file: 'mount', package: 'mount' },
];

export function ensureDebianPackages(report: Report, signal?: AbortSignal): Promise<void> {
  return ensureInstalled(needs, report, signal);
}
