// What the ACS of each port should be, what it is, and the kernel parameter that mends a whole node. Pure.
// The patterns are those of rdma_topo (rdma-core, kernel-boot/rdma_topo, compute_acs). Nothing here depends on a GPU driver: a node must be able
// to pass before the operator that installs one waits for it.
import { refused } from '../host/host.ts';
import { isVeraRootPort } from '../pci/ids.ts';
import type { Port, PortRole } from '../pci/ports.ts';
import { portsOf } from '../pci/ports.ts';
import type { Topology } from '../pci/topology.ts';
import { rootPortOf, topologyOf } from '../pci/topology.ts';
import type { AcsSeen, Snapshot } from './snapshot.ts';

export interface PortAcs {
  readonly address: string;
  readonly role: PortRole;
  /** The root port that it is below, or itself. */
  readonly root: string;
  readonly verdict: 'Right' | 'Wrong' | 'NotAssessed';
  /** Seven bits, 6 to 0, x where a bit does not matter; undefined where nobody has said what it should be. */
  readonly expected: string | undefined;
  /** The control bits as they are; undefined where they could not be read. */
  readonly found: string | undefined;
  /** Why it was not assessed, as a clause. */
  readonly why: string | undefined;
  /** Linux does not set the expected bits by itself. */
  readonly needsParameter: boolean;
}

/**
 * Bits 6..0: direct translated P2P, egress control, upstream forwarding, completion redirect, request redirect, translation blocking, source
 * validation. The switch lets requests of the DMA function and completions of the GPU through; a root port that does not validate sources puts
 * everything below it into one iommu group.
 */
const COMPLEX: Partial<Record<PortRole, string>> = {
  ComplexRoot: 'xx111x0',
  TowardsDma: 'xx110x1',
  TowardsGpu: 'xx101x1',
};
/** NIC and GPU behind one switch: on a bare machine all of it is off; for virtual machines only what is translated (ATS) goes straight. */
const OFF = 'xx000x0';
const INLINE_WITH_ATS: Partial<Record<PortRole, string>> = { InlineTowardsNic: '1x111x1' };

/** One entry a port. Those outside of any complex that have no ACS at all are left out, such as a switch's upstream port. */
export function assessAcs(snapshot: Snapshot, topology: Topology = topologyOf(snapshot.functions)): PortAcs[] {
  return portsOf(snapshot.functions, topology).flatMap((port) => {
    const seen = snapshot.acs.get(port.fn.address) ?? 'gone';
    const matters = port.role !== 'Other' || seen !== 'absent';
    return matters ? [assessPort(port, seen, expectedOf(port, topology, snapshot.nicsHaveAts))] : [];
  });
}

function assessPort(port: Port, seen: AcsSeen, wanted: string | undefined): PortAcs {
  // Without the capability there is nothing to be set.
  const expected = seen === 'absent' ? undefined : wanted;
  const found = typeof seen === 'number' ? seen.toString(2).padStart(7, '0') : undefined;
  const why = typeof seen === 'number' ? whyUnexpected(port, expected) : whyUnread(seen);
  const assessed = found !== undefined && expected !== undefined;
  return {
    address: port.fn.address,
    role: port.role,
    root: rootPortOf(port.fn),
    verdict: !assessed ? 'NotAssessed' : matches(found, expected) ? 'Right' : 'Wrong',
    expected,
    found,
    why,
    needsParameter: expected !== undefined && expected !== kernelDefaultOf(port),
  };
}

function expectedOf(port: Port, { platform }: Topology, nicsHaveAts: boolean | undefined): string | undefined {
  if (port.role === 'Unrecognised') return undefined;
  if (platform !== 'Inline') return COMPLEX[port.role] ?? kernelDefaultOf(port);
  if (nicsHaveAts === undefined) return undefined;
  return nicsHaveAts ? (INLINE_WITH_ATS[port.role] ?? kernelDefaultOf(port)) : OFF;
}

/** drivers/pci/pci.c, pci_std_enable_acs. Vera's root ports have completion redirect wired to 0. */
function kernelDefaultOf({ fn }: Port): string {
  return isVeraRootPort(fn) ? 'xx101x1' : 'xx111x1';
}

function matches(found: string, expected: string): boolean {
  return expected.split('').every((bit, index) => bit === 'x' || bit === found[index]);
}

function whyUnread(seen: Exclude<AcsSeen, number>): string {
  if (refused(seen)) return `its configuration space cannot be read: ${seen.code} (${seen.number})`;
  return { hidden: 'only root may read its ACS', gone: 'it does not answer', absent: 'it has no ACS capability' }[seen];
}

function whyUnexpected({ role }: Port, expected: string | undefined): string | undefined {
  if (expected !== undefined) return undefined;
  return role === 'Unrecognised'
    ? 'its complex has a shape for which no ACS is known'
    : 'some NICs have ATS and some have not, so it cannot be told whether virtual machines are to be served';
}

/**
 * The kernel parameter for the whole node: every port that needs other bits than Linux sets by itself, also those that have them already, because
 * a new line replaces the one they may have them from. Undefined where none does.
 */
export function configAcs(ports: readonly PortAcs[]): string | undefined {
  const settings = ports.filter((port) => port.needsParameter).map(({ address, expected }) => `${expected}@${address}`);
  return settings.length === 0 ? undefined : `pci=config_acs=${settings.join(';')}`;
}
