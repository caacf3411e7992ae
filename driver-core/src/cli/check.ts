// `data-direct check`: what is wrong with a node's paths and ports and how it is mended, for people and for scripts.
import { PATH_REASONS } from '@data-direct/crds';

import type { PortAcs } from '../path/acs.ts';
import type { Path } from '../path/path.ts';
import { mayHaveDataDirect } from '../pci/ids.ts';
import { checkContainer } from './check-container.ts';
import type { Command, Terminal } from './command.ts';
import { EXIT, JSON_OPTION } from './command.ts';
import { bootParameter, commandsFor } from './mends.ts';
import type { Node } from './node.ts';
import { readNode, tellUnread } from './node.ts';
import { ROLES } from './shown.ts';

export const check: Command = {
  name: 'check',
  does: 'what is wrong, why, and what to type; exit code 0 nothing, 100 something',
  options: {
    ...JSON_OPTION,
    container: {
      type: 'string',
      does: 'instead: whether the libraries that this process of a container sees can do it',
    },
  },
  run: async ({ host, given, terminal }) => {
    const { container } = given;
    if (typeof container === 'string') return checkContainer(container, given['json'] === true, terminal);
    const node = await readNode(host, 'Probe');
    const findings = [...node.paths.map((path) => judgePath(path, node)), ...judgePorts(node)];
    const ok = findings.every(({ verdict }) => verdict !== 'FAIL');
    if (given['json']) printJson(ok, findings, node, terminal);
    else print(findings, terminal);
    tellUnread(node, terminal);
    return ok ? EXIT.done : EXIT.notReady;
  },
};

interface Mend {
  /** One sentence. */
  readonly says: string;
  readonly commands: readonly string[];
}

interface Finding {
  /** SKIP: not assessed, or nobody expects data direct of this NIC. */
  readonly verdict: 'OK' | 'FAIL' | 'SKIP';
  /** A path's name, or ACS. */
  readonly subject: string;
  /** The path's id, or the PCI addresses of the ports. */
  readonly functions: readonly string[];
  readonly reason: Path['reason'] | undefined;
  readonly message: string;
  readonly mend: Mend | undefined;
}

function judgePath(path: Path, node: Node): Finding {
  const { id, name, reason, message, state } = path;
  const verdict = !isExpected(path) ? 'SKIP' : state === 'Ready' ? 'OK' : 'FAIL';
  const mend = { says: PATH_REASONS[reason].mend, commands: commandsFor(path, node) };
  return { verdict, subject: name, functions: [id], reason, message, mend: verdict === 'FAIL' ? mend : undefined };
}

/** Older models and BlueField have no data direct to lose, and a VF without RDMA device is somebody else's, mostly a virtual machine's. */
function isExpected({ nic }: Path): boolean {
  return mayHaveDataDirect(nic.model) && (nic.function === 'PF' || nic.rdmaDevice !== undefined);
}

const SUBJECT = 'ACS';

/** What is right in one line, what is wrong in a line each, what was not assessed in one for each cause. */
function judgePorts(node: Node): Finding[] {
  const ports = Map.groupBy(node.ports, ({ verdict }) => verdict);
  const right = ports.get('Right') ?? [];
  const wrong = ports.get('Wrong') ?? [];
  const notAssessed = Map.groupBy(ports.get('NotAssessed') ?? [], ({ why }) => why);
  const mend = { says: PATH_REASONS.AcsMisconfigured.mend, commands: bootParameter(undefined, node) };
  return [
    ...(right.length > 0
      ? [aboutPorts('OK', right, `${portsCalled(right)} have the bits that their place asks for`)]
      : []),
    ...wrong.map((port) => ({
      ...aboutPorts('FAIL', [port], wrongPort(port)),
      reason: 'AcsMisconfigured' as const,
      mend,
    })),
    ...[...notAssessed].map(([why, some]) => aboutPorts('SKIP', some, `${portsCalled(some)} not assessed: ${why}`)),
  ];
}

function aboutPorts(verdict: Finding['verdict'], ports: readonly PortAcs[], message: string): Finding {
  const functions = ports.map(({ address }) => address);
  return { verdict, subject: SUBJECT, functions, reason: undefined, message, mend: undefined };
}

function portsCalled(ports: readonly PortAcs[]): string {
  return ports.length === 1 ? `port ${ports[0]?.address}` : `${ports.length} ports`;
}

function wrongPort({ address, role, found, expected }: PortAcs): string {
  return `${ROLES[role] ?? 'port'} ${address} is ${found}, expected ${expected}`;
}

function printJson(ok: boolean, findings: readonly Finding[], { unread, malformed }: Node, { out }: Terminal): void {
  out(JSON.stringify({ format: 'data-direct/check/1', ok, findings, unread, malformed }, undefined, 2));
}

function print(findings: readonly Finding[], { out, paint }: Terminal): void {
  if (findings.length === 0) return out('no ConnectX or BlueField NIC on this node');
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  const mends = new Mends();
  for (const { verdict, subject, reason, message, mend } of findings) {
    const text = subject === SUBJECT || reason === undefined ? message : `${reason}: ${message}`;
    out(`${paint(VERDICTS[verdict], verdict.padEnd(4))}  ${subject.padEnd(width)}  ${text}`);
    if (mend) for (const line of mends.tell(mend, subject)) out(`${' '.repeat(width + 8)}${line}`);
  }
}

const VERDICTS = { OK: 'green', FAIL: 'red', SKIP: 'gray' } as const;

/** Each mend once: four paths with one cause are mended by one reboot. */
class Mends {
  /** Subjects by what mends them, the first one in front. */
  readonly #told = new Map<string, string[]>();

  tell(mend: Mend, subject: string): string[] {
    const key = JSON.stringify(mend);
    const told = this.#told.get(key);
    if (told?.includes(subject)) return [];
    this.#told.set(key, [...(told ?? []), subject]);
    if (told) return [`mend: as for ${told[0]}`];
    return [`mend: ${mend.says}`, ...mend.commands.map((command) => `  ${command}`)];
  }
}
