import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { afterAll, describe, expect, it, vi } from 'vitest';

import { machines } from '../fixtures/source/machines.ts';
import { run } from './cli.ts';
import { check } from './cli/check.ts';
import type { Command, Given, Terminal } from './cli/command.ts';
import { dumpOf } from './cli/dump-file.ts';
import { dump } from './cli/dump.ts';
import { readNode } from './cli/node.ts';
import { topo } from './cli/topo.ts';
import { watch } from './cli/watch.ts';
import type { Host, Uevent } from './host/host.ts';
import { Errno } from './host/host.ts';
import { UeventError } from './host/uevents.ts';
import { Observer } from './path/observe.ts';
import type { Path } from './path/path.ts';
import type { Change } from './virtual/changes.ts';
import { applyChange } from './virtual/changes.ts';
import { ManualClock } from './virtual/clock.ts';
import type { VirtualHost } from './virtual/host.ts';
import { createVirtualHost } from './virtual/host.ts';
import { FIXTURE_NAMES, loadFixture } from './virtual/load.ts';
import { unprivileged } from './virtual/unprivileged.ts';
import { withDoors } from './host/with-doors.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';
const GPU = '0009:06:00.0';
/** Of NIC and DMA. */
const V3 = 'c5b905682d3ff67a8f37b50d701a9fb3';

const directory = mkdtempSync(join(tmpdir(), 'data-direct-cli-'));
afterAll(() => rmSync(directory, { recursive: true }));

async function dataDirect(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const status = await run(argv, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    paint: (_, text) => text,
  });
  return { status, out: out.join('\n'), err: err.join('\n') };
}

/** The tray with these changes, dumped to a file as a report from the field would be. */
async function reported(...changes: readonly Change[]) {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  for (const change of changes) applyChange(host, change);
  const file = join(directory, `${changes.flat().join('-').replaceAll(':', '_')}.json`);
  writeFileSync(file, JSON.stringify(await dumpOf(host, await readNode(host, 'None'))));
  return { file, paths: await new Observer(host).round({ verification: 'None' }) };
}

/** Without the numbers of the device nodes, which tell the order of probes since boot and nothing of the path. */
function judged(paths: readonly Path[]) {
  return paths.map(({ id, name, reason, evidence, dma, gpus, complex }) => ({
    path: [id, name, complex, evidence, reason],
    dma: [dma?.address, dma?.driver, dma?.vuid, dma?.iommuGroup],
    gpus: gpus.map(({ address, iommuGroup }) => [address, iommuGroup]),
  }));
}

/** Golden files: what a command prints, to be read by people. `vitest -u` writes them anew. */
function golden(name: string): string {
  return new URL(`./cli/golden/${name}.txt`, import.meta.url).pathname;
}

/** A node with these changes, as `command` prints it. */
async function printed(
  command: Command,
  { fixture = 'gb300-tray', changes = [], as = (host) => host, given = {} }: Partial<Shown> = {},
) {
  const host = createVirtualHost(await loadFixture(fixture));
  for (const change of changes) applyChange(host, change);
  const out: string[] = [];
  const err: string[] = [];
  const terminal = { out: (line: string) => out.push(line), err: (line: string) => err.push(line), paint: plain };
  const status = await command.run({
    host: as(host),
    given,
    operands: [],
    terminal,
    signal: new AbortController().signal,
  });
  return { status, out: out.join('\n'), err: err.join('\n') };
}

interface Shown {
  readonly fixture: string;
  readonly changes: readonly Change[];
  readonly as: (host: VirtualHost) => Host;
  readonly given: Given;
}

const plain: Terminal['paint'] = (_, text) => text;

function withBadModalias(host: VirtualHost): Host {
  host.sysfsTree.file(`${host.sysfs.real('bus/pci/devices/0016:03:00.0') as string}/modalias`, 'pci:v000015B3\n');
  return host;
}

describe('data-direct topo', () => {
  it.each(FIXTURE_NAMES)('shows which NIC of %s reaches which GPU', async (fixture) => {
    const { status, out, err } = await dataDirect('topo', '--from', fixture);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    await expect(`${out}\n`).toMatchFileSnapshot(golden(`${fixture}-topo`));
  });

  it.each(FIXTURE_NAMES)('shows %s as a tree', async (fixture) => {
    const { out } = await dataDirect('topo', '--tree', '--from', fixture);
    await expect(`${out}\n`).toMatchFileSnapshot(golden(`${fixture}-tree`));
  });

  it('gives programs paths, ports and what could not be read', async () => {
    const { out } = await dataDirect('topo', '--from', 'gb300-tray', '--json');
    const { paths, ports, ...node } = JSON.parse(out) as { paths: Path[]; ports: unknown[] };
    expect(node).toEqual({
      format: 'data-direct/topo/1',
      kernelRelease: '6.14.0-1015-nvidia-64k',
      platform: 'DataDirect',
      unread: [],
      malformed: [],
    });
    expect(paths.map(({ id, gpus }) => [id, gpus[0]?.address])).toContainEqual(['0000:03:00.0', '0009:06:00.0']);
    expect(ports).toContainEqual({
      address: '0009:02:00.0',
      role: 'TowardsDma',
      root: '0009:00:00.0',
      verdict: 'Right',
      expected: 'xx110x1',
      found: '0011001',
      needsParameter: true,
    });
  });

  it('says where a file of the kernel’s is not as the kernel writes it, and shows the rest', async () => {
    const { err, out } = await printed(topo, { as: withBadModalias });
    expect(err).toMatch(
      /^note: \/sys\/devices\/.*\/0016:03:00\.0\/modalias, byte 13: expected a PCI modalias, .*: passed over$/,
    );
    expect(out).toContain('mlx5_3');
    expect(out).not.toContain('0016:03:00.0');
    const { out: json } = await printed(topo, { as: withBadModalias, given: { json: true } });
    expect(JSON.parse(json)).toMatchObject({ malformed: [{ offset: 13, found: '"pci:v000015B3"' }] });
  });

  it('keeps to its format', async () => {
    const { out } = await dataDirect('topo', '--from', 'dgx-station', '--json');
    await expect(`${out}\n`).toMatchFileSnapshot(golden('dgx-station-json'));
  });

  it('marks groups that differ and functions that are gone', async () => {
    const { out } = await printed(topo, {
      changes: [
        ['regroup', '0009:03:00.0', '77'],
        ['remove', '0008:03:00.0'],
        ['unbind', '0019:03:00.0'],
        ['unbind', '0012:03:00.0'],
      ],
    });
    await expect(`${out}\n`).toMatchFileSnapshot(golden('broken-topo'));
  });

  it('says so where there is nothing to show', async () => {
    const changes = ['0000:00:00.0', '0002:00:00.0', '0010:00:00.0', '0012:00:00.0', '0016:00:00.0'].map((port) => [
      'remove',
      port,
    ]);
    const { status, out } = await printed(topo, { changes });
    expect({ status, out }).toEqual({ status: 0, out: 'no ConnectX or BlueField NIC on this node' });
  });
});

describe('data-direct check', () => {
  it.each(FIXTURE_NAMES)('judges %s', async (fixture) => {
    const { out } = await dataDirect('check', '--from', fixture);
    await expect(`${out}\n`).toMatchFileSnapshot(golden(`${fixture}-check`));
  });

  it('is content with a healthy tray: nobody expects data direct of its BlueField', async () => {
    const { status, out } = await dataDirect('check', '--from', 'gb300-tray');
    expect(status).toBe(0);
    expect(out.split('\n').map((line) => line.split(' ')[0])).toEqual(['OK', 'OK', 'OK', 'OK', 'SKIP', 'OK']);
  });

  it('names the fault and what to type, and tells scripts by exit code 100', async () => {
    const { file } = await reported(['unbind', '0009:03:00.0']);
    const { status, out } = await dataDirect('check', '--from', file);
    expect(status).toBe(100);
    expect(out).toContain(
      'FAIL  mlx5_0  DmaDriverNotBound: DMA function 0009:03:00.0 of mlx5_0 (0000:03:00.0) has no driver',
    );
    expect(out).toContain('    echo 0009:03:00.0 > /sys/bus/pci/drivers_probe');
  });

  it('prints the kernel parameter for the whole node once, however many paths it mends', async () => {
    const ports = ['0008', '0009'].flatMap((domain) =>
      ['00:00.0', '02:00.0', '02:02.0'].map((port) => ['acs', `${domain}:${port}`, '0011101']),
    );
    const { status, out } = await printed(check, { changes: [...ports, ['regroup', '0009:03:00.0', '77']] });
    expect(status).toBe(100);
    expect(out.split('pci=config_acs=xx111x0@').length - 1).toBe(1);
    await expect(`${out}\n`).toMatchFileSnapshot(golden('acs-as-linux-sets-it-check'));
  });

  it('finds a wrong port also where no path suffers from it', async () => {
    const { status, out } = await printed(check, { changes: [['acs', '0009:05:00.0', '0000000']] });
    expect(status).toBe(100);
    expect(out).toContain('OK    mlx5_0  Paired');
    expect(out).toContain('FAIL  ACS     port 0009:05:00.0 is 0000000, expected xx111x1');
  });

  it.each<{ reason: string; changes: readonly Change[] }>([
    { reason: 'NoDmaFunction', changes: [['remove', DMA]] },
    { reason: 'DmaDriverNotBound', changes: [['unbind', DMA]] },
    { reason: 'GpuNotFound', changes: [['remove', GPU]] },
    { reason: 'PortDown', changes: [['port-down', NIC]] },
    { reason: 'WaitingForDriver', changes: [['unbind', NIC]] },
    { reason: 'VerbsNodeMissing', changes: [['hide-uverbs', NIC]] },
    { reason: 'DeviceUnresponsive', changes: [['refuse', NIC, 'get-context', 'EAGAIN']] },
    { reason: 'KernelRefused', changes: [['refuse', NIC, 'get-context', 'EINVAL']] },
    { reason: 'PairingUnverified', changes: [['refuse', NIC, 'open', 'EACCES']] },
    { reason: 'KernelTooOld', changes: [['refuse', NIC, 'path', 'EPROTONOSUPPORT']] },
    { reason: 'RegistrationFailed', changes: [['refuse', NIC, 'register', 'EOPNOTSUPP']] },
    { reason: 'RdmaNamespaceExclusive', changes: [['rdma-namespaces', 'exclusive']] },
    {
      reason: 'VpdUnreadable',
      changes: [
        ['unbind', DMA],
        ['vpd-unreadable', DMA],
      ],
    },
    {
      reason: 'PairingAmbiguous',
      changes: [
        ['vpd-set', '0008:03:00.0', 'V3', V3],
        ['refuse', NIC, 'open', 'EACCES'],
      ],
    },
    {
      reason: 'EvidenceConflict',
      changes: [
        ['vpd-set', '0008:03:00.0', 'V3', V3],
        ['vpd-set', DMA, 'V3', 'another'],
      ],
    },
  ])('says what to type about $reason, with the addresses of this node', async ({ reason, changes }) => {
    const { status, out } = await printed(check, { changes, given: { json: true } });
    const { findings, ...rest } = JSON.parse(out) as { findings: Record<string, unknown>[] };
    expect({ status, ...rest }).toMatchObject({ status: 100, format: 'data-direct/check/1', ok: false });
    const finding = findings.find(({ functions }) => (functions as string[])[0] === NIC);
    expect(finding).toMatchObject({
      verdict: 'FAIL',
      reason,
      mend: { commands: expect.arrayContaining([expect.any(String)]) },
    });
    expect(JSON.stringify(finding?.['mend'])).not.toMatch(/undefined|<\w+>/);
  });

  it('probes every function without driver where nobody may know whose it is', async () => {
    const { out } = await printed(check, {
      changes: [
        ['unbind', DMA],
        ['unbind', '0008:03:00.0'],
      ],
      as: unprivileged,
    });
    expect(out).toContain('echo 0008:03:00.0 > /sys/bus/pci/drivers_probe');
    expect(out).toContain('echo 0009:03:00.0 > /sys/bus/pci/drivers_probe');
  });
});

describe('functions that were given to a virtual machine', () => {
  it('have to be let go by vfio-pci before their own driver can have them', async () => {
    const { file } = await reported();
    const entries = JSON.parse(readFileSync(file, 'utf8')) as { realpath: string; virtual: object }[];
    const withVfio = entries.map((entry) => {
      if (entry.realpath.endsWith(DMA)) return { ...entry, virtual: { ...entry.virtual, driver: 'vfio-pci' } };
      if (entry.realpath.endsWith('0012:03:00.0')) return { ...entry, subsystems: {}, virtual: { driver: 'vfio-pci' } };
      return entry;
    });
    writeFileSync(file, JSON.stringify(withVfio));
    const { out } = await dataDirect('check', '--from', file);
    expect(out).toContain('DmaDriverNotBound: DMA function 0009:03:00.0 of mlx5_0 (0000:03:00.0) has driver vfio-pci');
    const commands = out.split('\n').filter((line) => line.includes(DMA) && line.includes('echo'));
    expect(commands.map((line) => line.trim())).toEqual([
      `echo > /sys/bus/pci/devices/${DMA}/driver_override`,
      `echo ${DMA} > /sys/bus/pci/devices/${DMA}/driver/unbind`,
      `echo ${DMA} > /sys/bus/pci/drivers_probe`,
    ]);
    expect(out).toContain('WaitingForDriver: 0012:03:00.0 has driver vfio-pci; expected mlx5_core');
  });
});

describe('somebody who is not root', () => {
  it('sees what the kernel says, is told what is missing, and gets no wrong verdict', async () => {
    const { status, out, err } = await printed(check, { as: unprivileged });
    expect(status).toBe(0);
    expect(out).toContain('OK    mlx5_0  Paired');
    expect(out).toContain('SKIP  ACS     39 ports not assessed: only root may read its ACS');
    expect(err).toContain('note: the VPD of 8 functions may be read by root only');
    expect(err).toContain('note: the ACS of 39 ports may be read by root only, so it is not assessed');
  });

  it('can have the table, the tree and a dump as well', async () => {
    for (const [command, given] of [
      [topo, {}],
      [topo, { tree: true }],
      [dump, {}],
    ] as const) {
      const { status, out, err } = await printed(command, { as: unprivileged, given });
      expect(status).toBe(0);
      expect(err).toContain('note: the VPD of 8 functions');
      expect(out).toContain('0009:03:00.0');
    }
  });
});

/** As where no netlink socket may be made. */
const refusing = (): Promise<never> => Promise.reject(new UeventError(new Errno('EPERM', 1, 'socket')));
const unheard = (): AsyncIterable<Uevent> => ({ [Symbol.asyncIterator]: () => ({ next: refusing }) });

describe('data-direct watch', () => {
  it('says in one line that it cannot listen, and fails', async () => {
    const host = createVirtualHost(await loadFixture('dgx-station'));
    const err: string[] = [];
    const terminal = { out: () => undefined, err: (line: string) => err.push(line), paint: plain };
    const deaf = withDoors(host, { uevents: unheard });
    const { signal } = new AbortController();
    expect(await watch.run({ host: deaf, given: {}, operands: [], terminal, signal })).toBe(1);
    expect(err).toEqual(['kernel events cannot be listened to: socket answered EPERM (1)']);
  });

  it('prints every path once and then what changes, until it is interrupted', async () => {
    const clock = new ManualClock();
    const host = createVirtualHost(await loadFixture('dgx-station'), { clock });
    const stop = new AbortController();
    const lines: string[] = [];
    const terminal = { out: (line: string) => lines.push(line), err: () => undefined, paint: plain };
    const given = { json: true };
    const running = watch.run({ host, given, operands: [], terminal, signal: stop.signal });
    const until = async (count: number): Promise<void> => {
      await vi.waitFor(() => {
        clock.advance(10);
        expect(lines).toHaveLength(count);
      });
    };
    await until(1);
    applyChange(host, ['unbind', DMA]);
    await until(2);
    applyChange(host, ['bind', DMA]);
    await until(3);
    applyChange(host, ['remove', NIC]);
    await until(4);
    stop.abort();
    expect(await running).toBe(0);
    const transitions = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(transitions.map(({ from, to }) => [from, to])).toEqual([
      [undefined, 'Paired'],
      ['Paired', 'DmaDriverNotBound'],
      ['DmaDriverNotBound', 'Paired'],
      ['Paired', undefined],
    ]);
    expect(transitions[1]).toMatchObject({ id: NIC, path: 'mlx5_0', state: 'Degraded' });
    expect(transitions[1]?.['message']).toContain('has no driver');
  });
});

describe('data-direct dump', () => {
  it.each<{ changes: readonly Change[] }>([
    { changes: [] },
    { changes: [['unbind', '0009:03:00.0']] },
    { changes: [['remove', '0009:06:00.0']] },
    { changes: [['regroup', '0009:03:00.0', '77']] },
    { changes: [['port-down', 'mlx5_2']] },
    { changes: [['acs', '0009:02:00.0', '0011101']] },
    { changes: [['unbind', '0002:03:00.0']] },
    { changes: [['rdma-namespaces', 'exclusive']] },
    { changes: [['vpd-set', '0009:03:00.0', 'V3', 'another']] },
  ])('makes a test of any report: after $changes the file shows the same paths as the node', async ({ changes }) => {
    const { file, paths } = await reported(...changes);
    const { out } = await dataDirect('topo', '--json', '--from', file);
    expect(judged((JSON.parse(out) as { paths: Path[] }).paths)).toEqual(judged(paths));
  });
});

describe('a file of rdma_topo’s', () => {
  it('is shown with the remark that it does not say what the kernel pairs', async () => {
    const { file } = await reported(['unbind', '0012:03:00.0']);
    const entries = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>[];
    const plainFile = join(directory, 'plain.json');
    const functions = entries.filter(({ realpath }) => realpath !== '/sys');
    writeFileSync(plainFile, JSON.stringify(functions.map((entry) => ({ ...entry, virtual: undefined }))));
    const { status, out, err } = await dataDirect('topo', '--from', plainFile);
    expect(status).toBe(0);
    expect(out).toContain('0009:03:00.0');
    expect(err).toBe(
      `note: ${plainFile} does not say what the kernel pairs, so it is taken to follow the serials (VPD V3)`,
    );
  });
});

/** None of them takes a tenth of it. */
const BOUND = { timeout: 20_000, killSignal: 'SIGKILL' } as const;

/** As a process, because streams, signals and exit codes are what it is about. */
const CLI = ['--conditions=@data-direct/source', fileURLToPath(new URL('./cli.ts', import.meta.url))];

describe('the process', () => {
  const topoOfTray = [...CLI, 'topo', '--from', 'gb300-tray'];
  /** On a terminal of its own, which is what `script` gives. */
  const onTerminal = (env: Record<string, string>) => {
    // Node's rule counts FORCE_COLOR, NO_COLOR and CI too.
    const { FORCE_COLOR: _, NO_COLOR: __, CI: ___, ...inherited } = process.env;
    const command = [process.execPath, ...topoOfTray].join(' ');
    const options = { encoding: 'utf8', env: { ...inherited, TERM: 'xterm-256color', ...env }, ...BOUND } as const;
    return spawnSync('script', ['-qec', command, '/dev/null'], options).stdout;
  };

  it('colours what a person reads on a terminal, unless NO_COLOR is set, and nothing that is piped', () => {
    expect(onTerminal({})).toContain('\u001B[32mmlx5_0');
    const plainText = onTerminal({ NO_COLOR: '1' });
    expect(plainText).toContain('mlx5_0');
    expect(plainText).not.toContain('\u001B');
    expect(spawnSync(process.execPath, topoOfTray, { encoding: 'utf8', ...BOUND }).stdout).not.toContain('\u001B');
  });

  it('is content when its reader has seen enough', () => {
    const command = [process.execPath, ...topoOfTray].join(' ');
    const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', `${command} --json | head -1`], {
      encoding: 'utf8',
      ...BOUND,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('says what it found in its exit code, whether or not somebody reads the words', async () => {
    const { file } = await reported(['unbind', DMA]);
    const command = [process.execPath, ...CLI, 'check', '--from', file].join(' ');
    const options = { encoding: 'utf8', ...BOUND } as const;
    const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', `${command} | true`], options);
    expect({ status, stderr }).toEqual({ status: 100, stderr: '' });
  });

  it.each(['topo', 'watch'])('%s fails where its words cannot be written, and says why in one line', (command) => {
    const argv = [...CLI, command, '--from', 'dgx-station'];
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, argv, {
      encoding: 'utf8',
      ...BOUND,
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^the answer could not be written: ENOSPC.*\n$/);
  });

  it('takes its socket away where the reader of what it watches goes', async () => {
    const socket = join(directory, 'unread.sock');
    const child = spawn(process.execPath, [...CLI, 'watch', '--from', 'dgx-station', '--socket', socket], BOUND);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const virtual = [...CLI, 'virtual', '--socket', socket, 'unbind', DMA];
    expect(spawnSync(process.execPath, virtual, BOUND).status).toBe(0);
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(existsSync(socket)).toBe(false);
  });

  it('says that Node is too old, where it would do nothing and end as if nothing were wrong', () => {
    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '24.1.0' } })`;
    const argv = [
      '--import',
      `data:text/javascript,${encodeURIComponent(old)}`,
      ...CLI,
      'check',
      '--from',
      'gb300-tray',
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', ...BOUND });
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr: 'data-direct needs Node 24.2 or newer, and this is 24.1.0\n',
    });
  });

  /** Another program on the same pipe, which makes writes to it return at once (Node does, as soon as it has a stdout). */
  const NON_BLOCKING = `
    const child = require('node:child_process').spawn(process.execPath, process.argv.slice(1), { stdio: 'inherit' });
    child.on('exit', (status) => process.exit(status));
    process.stdout;
  `;

  it.each([
    ['a pipe', []],
    ['a pipe that somebody made non-blocking', ['-e', NON_BLOCKING, '--']],
  ])('leaves nothing out that its reader has not taken yet from %s, however long the answer is', async (_, before) => {
    const file = join(directory, 'many.json');
    const entries = machines['dgx-station'] ?? [];
    const nic = entries.find(({ realpath }) => String(realpath).endsWith(NIC));
    const more = Array.from({ length: 500 }, (_entry, index) => {
      const domain = String(1000 + index);
      const realpath = `/sys/devices/pci${domain}:00/${domain}:00:00.0`;
      return { ...nic, realpath, subsystems: { infiniband: [`more_${index}`] } };
    });
    writeFileSync(file, JSON.stringify([...entries, ...more]));
    const child = spawn(process.execPath, [...before, ...CLI, 'topo', '--json', '--from', file], {
      stdio: 'pipe',
      ...BOUND,
    });
    const [chunks, ended] = await Promise.all([child.stdout.toArray(), once(child, 'exit')]);
    expect(ended).toEqual([0, null]);
    expect((JSON.parse(chunks.join('')) as { paths: unknown[] }).paths).toHaveLength(501);
  });

  it('watches a virtual node that is changed over a socket, and ends when it is interrupted', async () => {
    const socket = join(directory, 'watch.sock');
    const child = spawn(process.execPath, [...CLI, 'watch', '--from', 'dgx-station', '--socket', socket], BOUND);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const line = async (): Promise<unknown> => (await lines.next()).value;
    expect(await line()).toMatch(/Z {2}mlx5_0 {2}Paired: mlx5_0/);
    const change = spawnSync(process.execPath, [...CLI, 'virtual', '--socket', socket, 'unbind', DMA], BOUND);
    expect(change.status).toBe(0);
    expect(await line()).toMatch(/Z {2}mlx5_0 {2}Paired → DmaDriverNotBound: DMA function/);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(existsSync(socket)).toBe(false);
  });
});

describe('a report of rdma_topo', () => {
  it('in which a NIC’s VPD is blank is said to be just that, and not that its firmware has data direct off', async () => {
    const entries = (machines['gb300-tray'] ?? []).filter(({ realpath }) => realpath !== '/sys');
    const blank = deflateSync(Buffer.alloc(512, 0xff)).toString('base64');
    const report = entries.map(({ virtual: _virtual, ...entry }) =>
      String(entry['realpath']).endsWith(NIC) ? { ...entry, vpd: blank } : entry,
    );
    const file = join(directory, 'blank.json');
    writeFileSync(file, JSON.stringify(report));
    const { out } = await dataDirect('check', '--from', file);
    expect(out).toContain(`FAIL  mlx5_0  VpdUnreadable: the VPD of mlx5_0 (${NIC}) cannot be used`);
    expect(out).not.toContain('capability');
  });
});

describe('misuse', () => {
  it.each([
    [[], 'no command given'],
    [['frobnicate'], 'no command "frobnicate"'],
    [['topo', 'all'], 'topo takes no argument, got "all"'],
    [['dump', '--json'], 'dump has no --json'],
    [['check', '--tree'], 'check has no --tree'],
    [['topo', '--frm', 'x'], "Unknown option '--frm'"],
    [['topo', '--from', ''], '--from takes a file or a shipped fixture, got nothing'],
    [['topo', '--json', '--tree'], 'give one of the two'],
  ])('%j is told with the usage', async (argv, problem) => {
    const { status, err } = await dataDirect(...argv);
    expect(status).toBe(2);
    expect(err).toContain(problem);
    expect(err).toContain('data-direct <command>');
  });

  it('of --from names the file', async () => {
    const { status, err } = await dataDirect('topo', '--from', 'nowhere.json');
    expect(status).toBe(1);
    expect(err).toContain('nowhere.json: no such file');
  });

  it('is not to ask for help', async () => {
    const { status, out } = await dataDirect('--help');
    expect(status).toBe(0);
    expect(out).toContain('Exit codes');
  });

  it('of virtual is told by virtual', async () => {
    const { status, out } = await dataDirect('virtual', '--help');
    expect(status).toBe(0);
    expect(out).toContain('unbind');
  });
});
