// Files from the field: a dump in which anything may stand makes a node or is refused by name; what our own dump writes can be read again.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { createVirtualHost, type Host, Observer, VirtualError, type VirtualHost } from '@data-direct/driver-core';
import * as fc from 'fast-check';
import { run } from '../../../driver-core/src/cli.ts';
import { dump as dumpCommand } from '../../../driver-core/src/cli/dump.ts';
import { applyChange, CHANGES } from '../../../driver-core/src/virtual/changes.ts';
import { FUNCTION_FIELDS, parseFixture } from '../../../driver-core/src/virtual/fixture.ts';
import { unprivileged } from '../../../driver-core/src/virtual/unprivileged.ts';
import { judgeCommands, judgeRounds } from '../judge.ts';
import { entriesOf, hostOf, machineName } from '../machines.ts';
import { bytes, must, type Target, target } from '../target.ts';

const FILE = 'node.json';

const packed = (content: Buffer): string => deflateSync(content).toString('base64');
/** Of configuration space or VPD: of any size, and some that unpack to far more than they seem. */
const blob = fc.oneof(
  bytes(4096).map(packed),
  fc
    .constantFrom(64, 256, 4096)
    .chain((size) => bytes(size).map((some) => packed(Buffer.concat([some, Buffer.alloc(size)]).subarray(0, size)))),
  fc.constantFrom(32_768, 1 << 20, 1 << 24).map((size) => packed(Buffer.alloc(size, 0x90))),
  fc.base64String({ maxLength: 80 }),
);
const word = fc.constantFrom(
  'mlx5_0',
  'mlx5_0_dma',
  'uverbs0',
  'lo',
  '..',
  'config',
  '',
  'a\u001b[0m',
  '\0',
  'x'.repeat(70),
);
const address = fc
  .tuple(fc.nat(0x1ffff), fc.nat(0xff), fc.nat(0x1f), fc.nat(7))
  .map(([domain, bus, device, fn]) => `${hex(domain, 4)}:${hex(bus, 2)}:${hex(device, 2)}.${fn}`);
const realpath = fc
  .array(address, { minLength: 1, maxLength: 5 })
  .map((chain) => `/sys/devices/pci${chain[0]?.slice(0, -5)}/${chain.join('/')}`);

/** What may stand in a field, likely and unlikely. */
const value = fc.oneof(
  blob,
  realpath,
  word,
  address,
  fc.integer({ min: -2, max: 5000 }),
  fc.constantFrom(null, true, [], {}, 1e300),
  fc.dictionary(
    fc.constantFrom('infiniband', 'net', 'drm', 'nvme', '__proto__', 'physfn', 'vuid', 'driver'),
    fc.oneof(fc.array(word), address, word),
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const field = fc.constantFrom(...FUNCTION_FIELDS, 'other');
type Change = readonly [number, string, unknown];
const changes: fc.Arbitrary<readonly Change[]> = fc.array(fc.tuple(fc.nat(), field, value), { maxLength: 6 });

const dumps = fc.record({ machine: machineName, changes, dropped: fc.array(fc.nat(), { maxLength: 5 }) });

function changed({
  machine,
  changes: all,
  dropped,
}: {
  machine: string;
  changes: readonly Change[];
  dropped: readonly number[];
}) {
  const entries = entriesOf(machine).map((entry) => ({ ...entry }));
  for (const [at, name, to] of all) Object.assign(entries[at % entries.length] ?? {}, { [name]: to });
  const gone = new Set(dropped.map((at) => at % entries.length));
  return entries.filter((_, index) => !gone.has(index));
}

/** The node that the entries make; undefined where they are refused, with file and place. */
function hostFrom(entries: unknown): VirtualHost | undefined {
  try {
    return createVirtualHost(parseFixture(FILE, entries));
  } catch (error) {
    if (!(error instanceof VirtualError)) throw error;
    must(error.message.startsWith(`${FILE}: $`), () => `a refusal without file and place: ${error.message}`);
    return undefined;
  }
}

const dump = target(
  'dump-file',
  'a dump is refused with file and place, or makes a node of which everything can be said',
  dumps,
  async (spoiled) => {
    const host = hostFrom(changed(spoiled));
    if (!host) return;
    await judgeRounds(host, [{ verification: 'Registration' }]);
    await judgeCommands(host, true);
  },
);

const again = target(
  'dump-again',
  'what data-direct dump writes of a node it reads again, and says the same of it',
  fc.record({ spoiled: dumps, asRoot: fc.boolean() }),
  async ({ spoiled, asRoot }) => {
    const made = hostFrom(changed(spoiled));
    if (!made) return;
    const host = asRoot ? made : unprivileged(made);
    const first = await dumped(host);
    const copy = hostFrom(JSON.parse(first));
    must(copy !== undefined, () => 'its own dump is refused');
    const second = await dumped(copy);
    must(first === second, () => `the dump of a dump is another:\n${firstDifference(first, second)}`);
    const [before, after] = [await seen(host), await seen(copy)];
    must(before === after, () => `another node is seen:\n${firstDifference(before, after)}`);
  },
);

/** Whatever can be done to a machine that does not keep it busy for seconds. */
const POSSIBLE = CHANGES.filter(({ name }) => name !== 'wedge' && name !== 'rdma-limit');
const words = fc.constantFrom(
  ...'0000:03:00.0 0009:03:00.0 0009:06:00.0 0008:03:00.0 0009:02:00.0 0000:03:00.2 mlx5_1 mlx5_4 30 none 0011101 20 V3 VU x'.split(
    ' ',
  ),
  ...'path open get-context devx EIO EACCES EAGAIN EPROTONOSUPPORT 133 shared exclusive on off query_vuid data_direct'.split(
    ' ',
  ),
  ...'log_max_uctx crossing_vhca_mkey query_hca_cap 0x2 VT2547VIRT001MLNXDATADIRECT0 VT2547VIRT002MLNXDATADIRECT0'.split(
    ' ',
  ),
);
const done = fc.array(
  fc
    .constantFrom(...POSSIBLE)
    .chain(({ name, arguments: { length } }) =>
      fc.array(words, { minLength: length, maxLength: length }).map((given) => [name, ...given]),
    ),
  { maxLength: 20 },
);

const broken = target(
  'dump-broken',
  'the dump of a machine to which anything was done shows what that machine shows',
  fc.record({ machine: machineName, done, asRoot: fc.boolean() }),
  async ({ machine, done: changes_, asRoot }) => {
    const made = hostOf(machine);
    for (const change of changes_) tryChange(made, change);
    const host = asRoot ? made : unprivileged(made);
    const copy = hostFrom(JSON.parse(await dumped(host)));
    must(copy !== undefined, () => 'its own dump is refused');
    const [before, after] = [await seen(host), await seen(copy)];
    must(before === after, () => `another node is seen:\n${firstDifference(before, after)}`);
  },
);

function tryChange(host: VirtualHost, change: readonly string[]): void {
  try {
    applyChange(host, change);
  } catch (error) {
    if (!(error instanceof VirtualError)) throw error;
  }
}

const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.json(),
  fc.tuple(machineName, fc.nat(20_000), fc.string({ maxLength: 4 })).map(([name, at, wedge]) => {
    const text = JSON.stringify(entriesOf(name));
    return `${text.slice(0, at)}${wedge}${text.slice(at + 1)}`;
  }),
);

const cli = target('cli', 'data-direct --from any file ends with a code and says which file', texts, async (text) => {
  const directory = mkdtempSync(join(tmpdir(), 'data-direct-fuzz-'));
  try {
    const file = join(directory, FILE);
    writeFileSync(file, text);
    const err: string[] = [];
    const terminal = {
      out: () => undefined,
      err: (line: string) => void err.push(line),
      paint: (_: unknown, line: string) => line,
    };
    const status = await run(['topo', '--json', '--from', file], terminal);
    must([0, 1].includes(status), () => `ended with ${status}`);
    must(status === 0 || err.join('\n').includes(file), () => `does not name the file: ${err.join('\n')}`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

async function dumped(host: Host): Promise<string> {
  const lines: string[] = [];
  const terminal = {
    out: (line: string) => void lines.push(line),
    err: () => undefined,
    paint: (_: unknown, text: string) => text,
  };
  await dumpCommand.run({ host, given: {}, operands: [], terminal, signal: new AbortController().signal });
  return lines.join('\n');
}

/** Every path as it stands, but for what was verified. */
async function seen(host: Host): Promise<string> {
  return JSON.stringify(await new Observer(host).round({ verification: 'None' }), undefined, 1);
}

function firstDifference(one: string, other: string): string {
  const [ours, theirs] = [one.split('\n'), other.split('\n')];
  const at = ours.findIndex((line, index) => line !== theirs[index]);
  return `${ours[at]}\n${theirs[at]}`;
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

export const dumpFileTargets: readonly Target[] = [dump, again, broken, cli];
