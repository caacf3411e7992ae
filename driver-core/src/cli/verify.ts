// `data-direct verify`: registers a real DMABUF on each NIC and says what every step was answered; with --abi the raw requests on any uverbs device,
// errno by errno.
import type { Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { Observer } from '../path/observe.ts';
import type { NicSeen, Snapshot } from '../path/snapshot.ts';
import type { VerifiedStep } from '../path/verify.ts';
import { verifyNic } from '../path/verify.ts';
import { chainOf, chargedAt } from '../pci/address.ts';
import { mayHaveDataDirect } from '../pci/ids.ts';
import type { AbiAnswer, AbiReport } from '../verbs/abi-check.ts';
import { checkAbi } from '../verbs/abi-check.ts';
import type { Command, Invocation, Terminal } from './command.ts';
import { EXIT, JSON_OPTION } from './command.ts';
import { aligned } from './table.ts';

export const verify: Command = {
  name: 'verify',
  does: 'register a DMABUF on each NIC, or on those named, step by step; exit code 0 all good, 100 not',
  operands: '[NIC]…',
  options: {
    ...JSON_OPTION,
    abi: { type: 'boolean', does: 'instead: the raw requests on each uverbs device of any driver, errno by errno' },
  },
  run: (invocation) => (invocation.given['abi'] === true ? verifyAbi(invocation) : verifyNics(invocation)),
};

interface VerifiedNic {
  readonly id: string;
  readonly name: string;
  readonly ok: boolean;
  readonly steps: readonly VerifiedStep[];
}

async function verifyNics({ host, given, operands, terminal }: Invocation): Promise<number> {
  const snapshot = await new Observer(host).observe({ verification: 'None' });
  const chosen = chosenFrom(snapshot.nics, operands);
  if (chosen instanceof Error) {
    terminal.err(chosen.message);
    return EXIT.misused;
  }
  const nics: VerifiedNic[] = [];
  for (const nic of chosen) nics.push(await verified(host, nic, snapshot));
  const ok = nics.length > 0 && nics.every((nic) => nic.ok);
  if (given['json']) terminal.out(JSON.stringify({ format: 'data-direct/verify/1', ok, nics }, undefined, 2));
  else printNics(nics, terminal);
  return ok ? EXIT.done : EXIT.notReady;
}

/** Unless named: those that may have data direct and have an RDMA device. */
function chosenFrom(nics: readonly NicSeen[], names: readonly string[]): readonly NicSeen[] | Error {
  if (names.length === 0) return nics.filter((nic) => mayHaveDataDirect(nic.model) && nic.rdmaDevice !== undefined);
  const found = names.map((name) => nics.find(({ id, rdmaDevice }) => id === name || rdmaDevice === name));
  const unknown = names.find((_, index) => found[index] === undefined);
  return unknown === undefined
    ? found.filter((nic) => nic !== undefined)
    : new Error(`no NIC ${JSON.stringify(unknown)}; there are ${nics.map(calledShort).join(', ') || 'none'}`);
}

function calledShort({ id, rdmaDevice }: NicSeen): string {
  return rdmaDevice ?? id;
}

async function verified(host: Host, nic: NicSeen, { dmas }: Snapshot): Promise<VerifiedNic> {
  const steps = await verifyNic(host, nic, dmas);
  return { id: nic.id, name: calledShort(nic), ok: steps.every(({ verdict }) => verdict !== 'FAIL'), steps };
}

const COLOURS = { OK: 'green', FAIL: 'red', SKIP: 'gray' } as const;

function printNics(nics: readonly VerifiedNic[], { out, paint }: Terminal): void {
  if (nics.length === 0) out('no NIC with an RDMA device that may have data direct: nothing was verified');
  for (const { id, name, steps } of nics) {
    out(paint('bold', name === id ? id : `${name} (${id})`));
    const rows = aligned(steps.map(({ verdict, step, says }) => [verdict, step, says]));
    for (const [index, row] of rows.entries()) out(`  ${paint(COLOURS[steps[index]?.verdict ?? 'SKIP'], row)}`);
  }
}

interface VerifiedDevice {
  readonly uverbs: string;
  readonly rdmaDevice: string;
  readonly ok: boolean;
  /** Why nothing was asked. */
  readonly errno: string | undefined;
  readonly report: AbiReport | undefined;
}

async function verifyAbi({ host, given, operands, terminal }: Invocation): Promise<number> {
  const known = uverbsDevices(host);
  const wanted = operands.length === 0 ? known.map(({ uverbs }) => uverbs) : operands;
  const devices: VerifiedDevice[] = [];
  for (const name of wanted) {
    const device = known.find(({ uverbs, rdmaDevice }) => uverbs === name || rdmaDevice === name);
    if (!device) {
      const names = known.map(({ uverbs, rdmaDevice }) => `${uverbs} (${rdmaDevice})`).join(', ') || 'none';
      terminal.err(`no uverbs device ${JSON.stringify(name)}; there are ${names}`);
      return EXIT.misused;
    }
    devices.push(await verifiedDevice(host, device));
  }
  const ok = devices.length > 0 && devices.every((device) => device.ok);
  if (given['json']) terminal.out(JSON.stringify({ format: 'data-direct/verify-abi/1', ok, devices }, undefined, 2));
  else printDevices(devices, terminal);
  return ok ? EXIT.done : EXIT.notReady;
}

interface UverbsDevice {
  readonly uverbs: string;
  readonly rdmaDevice: string;
  /** A blocked call is charged to it: the PCI function or the SF, where there is one. */
  readonly charged: string;
}

function uverbsDevices({ sysfs }: Host): UverbsDevice[] {
  const names = sysfs.list('class/infiniband_verbs');
  return (refused(names) ? [] : names)
    .filter((name) => /^uverbs\d+$/.test(name))
    .map((uverbs) => {
      const ibdev = sysfs.read(`class/infiniband_verbs/${uverbs}/ibdev`);
      const rdmaDevice = refused(ibdev) ? uverbs : ibdev.toString('latin1').trim();
      const real = sysfs.real(`class/infiniband_verbs/${uverbs}`);
      const parent = refused(real) ? '' : real.slice(0, -`/infiniband_verbs/${uverbs}`.length);
      return { uverbs, rdmaDevice, charged: chainOf(parent).length > 0 ? chargedAt(parent) : rdmaDevice };
    });
}

/** A driver of which nothing is known for sure is no failure, as long as the common part is right. */
async function verifiedDevice(host: Host, { uverbs, rdmaDevice, charged }: UverbsDevice): Promise<VerifiedDevice> {
  const report = await checkAbi(host, uverbs, charged);
  if (refused(report)) return { uverbs, rdmaDevice, ok: false, errno: report.code, report: undefined };
  const right = report.answers.filter(({ verdict }) => verdict === 'right').length;
  const wrong = report.answers.some(({ verdict }) => verdict === 'wrong');
  return { uverbs, rdmaDevice, ok: right > 0 && !wrong, errno: undefined, report };
}

const ABI_COLOURS = { right: 'green', wrong: 'red', 'not compared': 'gray' } as const;

function printDevices(devices: readonly VerifiedDevice[], { out, paint }: Terminal): void {
  if (devices.length === 0) out('no uverbs device on this node: nothing was verified');
  for (const { uverbs, rdmaDevice, errno, report } of devices) {
    out(paint('bold', `${uverbs} (${rdmaDevice}): ${headline(errno, report)}`));
    if (!report) continue;
    const rows = aligned(report.answers.map(rowOf));
    for (const [index, row] of rows.entries())
      out(`  ${paint(ABI_COLOURS[report.answers[index]?.verdict ?? 'not compared'], row)}`);
  }
}

function headline(errno: string | undefined, report: AbiReport | undefined): string {
  if (errno !== undefined) return `could not be opened: ${errno}`;
  if (report?.driver === undefined) return 'no driver that is known answers';
  return report.kind ?? `${report.driver}, of which only the common part is compared`;
}

const WORDS = { right: 'OK', wrong: 'FAIL', 'not compared': 'SKIP' } as const;

function rowOf({ step, answer, expected, verdict }: AbiAnswer): string[] {
  const hint =
    verdict === 'wrong' ? `expected ${expected}` : verdict === 'not compared' ? '(no right answer known)' : '';
  return [WORDS[verdict], step, answer, hint];
}
