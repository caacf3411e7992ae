// `data-direct check`: what is wrong with a node's paths and how it is mended, for people and for scripts.
import { PATH_REASONS } from '@data-direct/crds';

import { Observer } from '../path/observe.ts';
import type { Path } from '../path/path.ts';
import { mayHaveDataDirect } from '../pci/ids.ts';
import type { Command, Terminal } from './command.ts';
import { EXIT, JSON_OPTION } from './command.ts';
import { COLOURS } from './topo.ts';

export const check: Command = {
  name: 'check',
  does: 'what is wrong and how to mend it; exit code 0 all ready, 100 not',
  options: JSON_OPTION,
  run: async ({ host, given, terminal }) => {
    const findings = (await new Observer(host).round({ verification: 'Probe' })).map(judge);
    if (given['json']) terminal.out(JSON.stringify(findings, undefined, 2));
    else print(findings, terminal);
    return findings.some(({ verdict }) => verdict === 'FAIL') ? EXIT.notReady : EXIT.done;
  },
};

interface Finding {
  /** SKIP: nobody expects data direct of this NIC. */
  readonly verdict: 'OK' | 'FAIL' | 'SKIP';
  readonly path: string;
  readonly reason: Path['reason'];
  readonly message: string;
  readonly mend: string | undefined;
}

function judge(path: Path): Finding {
  const { name, reason, message, state } = path;
  if (!isExpected(path)) return { verdict: 'SKIP', path: name, reason, message, mend: undefined };
  if (state === 'Ready') return { verdict: 'OK', path: name, reason, message, mend: undefined };
  return { verdict: 'FAIL', path: name, reason, message, mend: mendOf(path) };
}

/** Older models and BlueField have no data direct to lose, and a VF without RDMA device is somebody else's, mostly a virtual machine's. */
function isExpected({ nic }: Path): boolean {
  return mayHaveDataDirect(nic.model) && (nic.function === 'PF' || nic.rdmaDevice !== undefined);
}

/** The table of reasons writes <address> where the function belongs: the DMA function, or the NIC where that is what has to be changed. */
function mendOf({ reason, nic, dma }: Path): string {
  const subject = reason === 'FunctionDisabled' ? nic : (dma ?? nic);
  return PATH_REASONS[reason].mend.replaceAll('<address>', subject.address);
}

function print(findings: readonly Finding[], { out, paint }: Terminal): void {
  if (findings.length === 0) return out('no ConnectX or BlueField NIC on this node');
  const width = Math.max(...findings.map(({ path }) => path.length));
  for (const { verdict, path, reason, message, mend } of findings) {
    const colour = verdict === 'FAIL' ? COLOURS[PATH_REASONS[reason].state] : verdict === 'OK' ? 'green' : 'gray';
    out(`${paint(colour, verdict.padEnd(4))}  ${path.padEnd(width)}  ${reason}: ${message}`);
    if (mend !== undefined) out(`${' '.repeat(width + 8)}mend: ${mend}`);
  }
}
