import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';

import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';

import { machines } from '../../fixtures/source/machines.ts';
import { refused } from '../host/host.ts';
import { applyChange } from './changes.ts';
import { parseFixture } from './fixture.ts';
import { createVirtualHost } from './host.ts';
import { FIXTURE_NAMES, loadFixture } from './load.ts';

const packed = (bytes: Buffer): string => deflateSync(bytes).toString('base64');
const bridge = {
  realpath: '/sys/devices/pci0000:00/0000:00:00.0',
  config: packed(Buffer.alloc(256)),
  modalias: 'pci:v000010DEd000022B1sv00000000sd00000000bc06sc04i00',
  iommu_group: null,
  numa_node: -1,
  subsystems: {},
};
const NIC_IDS = { modalias: 'pci:v000015B3d00001023sv000015B3sd00000040bc02sc07i00' };
const truncated = (text: string): string => text.slice(0, -8);

const DEEP = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;

describe('a malformed fixture is refused with its place and what was expected', () => {
  test.each<[string, unknown, string]>([
    ['no array', { devices: [] }, 'dump.json: $: expected an array, got {"devices":[]}'],
    ['no object', ['0000:00:00.0'], 'dump.json: $[0]: expected an object, got "0000:00:00.0"'],
    [
      'an unknown field',
      [{ ...bridge, vendor: 1 }],
      'dump.json: $[0].vendor: expected no such field (known: realpath, config,',
    ],
    [
      'a missing field',
      [{ ...bridge, config: undefined }],
      '$[0].config: expected base64 of a complete zlib stream, got nothing',
    ],
    [
      'an SF without number',
      [{ ...bridge, virtual: { subFunctions: [{}] } }],
      '$[0].virtual.subFunctions[0].sfnum: expected an integer from 0 to 4294967295, got nothing',
    ],
    [
      'two SFs of one number',
      [{ ...bridge, ...NIC_IDS, virtual: { subFunctions: [{ sfnum: 1 }, { sfnum: 1 }] } }],
      '$[0].virtual.subFunctions[1]: expected a name other than that of 0000:00:00.0/sf1, got "0000:00:00.0/sf1"',
    ],
    [
      'SFs of something that is no NIC',
      [{ ...bridge, virtual: { subFunctions: [{ sfnum: 1 }] } }],
      '$[0].virtual.subFunctions: expected no SFs, because this is no NIC, got 1',
    ],
    ['no path', [{ ...bridge, realpath: '0000:00:00.0' }], '$[0].realpath: expected a path such as /sys/devices/'],
    [
      'a path that leads out',
      [{ ...bridge, realpath: '/sys/devices/../0000:00:00.0' }],
      '$[0].realpath: expected a path',
    ],
    ['no base64', [{ ...bridge, config: 'ab cd' }], '$[0].config: expected base64'],
    ['truncated base64', [{ ...bridge, config: bridge.config.slice(0, -3) }], '$[0].config: expected base64'],
    [
      'a truncated stream',
      [{ ...bridge, config: truncated(bridge.config) }],
      '$[0].config: expected base64 of a complete zlib stream',
    ],
    [
      'another number of bytes',
      [{ ...bridge, config: packed(Buffer.alloc(100)) }],
      'a configuration space of 64, 256 or 4096 bytes, got 100 bytes',
    ],
    [
      'a stream that swells',
      [{ ...bridge, vpd: packed(Buffer.alloc(1 << 20)) }],
      '$[0].vpd: expected base64 of a complete zlib stream of at most 32768 bytes',
    ],
    ['another bus', [{ ...bridge, modalias: 'usb:v1D6Bp0002' }], '$[0].modalias: expected a PCI modalias'],
    [
      'a group that is text',
      [{ ...bridge, iommu_group: '7' }],
      '$[0].iommu_group: expected an integer from 0, got "7"',
    ],
    ['half a node', [{ ...bridge, numa_node: 0.5 }], '$[0].numa_node: expected an integer from -1'],
    [
      'a name that leads out',
      [{ ...bridge, subsystems: { net: ['../../etc'] } }],
      '$[0].subsystems.net[0]: expected a name of letters',
    ],
    [
      'a subsystem that is no list',
      [{ ...bridge, subsystems: { net: 'eth0' } }],
      '$[0].subsystems.net: expected an array, got "eth0"',
    ],
    ['an address twice', [bridge, bridge], '$[1]: expected a name other than that of 0000:00:00.0, got "0000:00:00.0"'],
    ['an unknown extension', [{ ...bridge, virtual: { vuids: 'x' } }], '$[0].virtual.vuids: expected no such field'],
    [
      'an unknown port state',
      [{ ...bridge, virtual: { portState: 'UP' } }],
      '$[0].virtual.portState: expected "NOP" or "DOWN"',
    ],
    [
      'a PF that is not there',
      [{ ...bridge, virtual: { physfn: '0000:03:00.0' } }],
      '$[0].virtual.physfn: expected the address of a function in this file',
    ],
    [
      'an odd page size',
      [{ realpath: '/sys', config: packed(Buffer.alloc(0)), modalias: '', virtual: { pageSize: 4097 } }],
      '$[0].virtual.pageSize: expected 4096 or 16384 or 65536, got 4097',
    ],
  ])('%s', (_what, json, message) => {
    expect(() => parseFixture('dump.json', json)).toThrow(message);
  });

  test('a file that is not there, and one that is no JSON', async () => {
    await expect(loadFixture('gb300')).rejects.toThrow(
      /gb300: no such file, and no shipped fixture of that name \(gb300-tray/,
    );
    const directory = await mkdtemp(join(tmpdir(), 'fixture-'));
    const file = join(directory, 'dump.json');
    for (const [content, problem] of [
      ['[{', `${file}: no JSON: Expected property name`],
      ['', `${file}: the file is empty`],
      ['\ufeff[1]', `${file}: $[0]: expected an object, got 1`],
      [`[${DEEP}]`, `${file}: $[0]: expected an object, got something nested too deeply to be shown`],
    ] as const) {
      await writeFile(file, content);
      await expect(loadFixture(file)).rejects.toThrow(problem);
    }
    await expect(loadFixture('/dev/zero')).rejects.toThrow('/dev/zero: it is longer than 64 MiB, which no dump is');
    await rm(directory, { recursive: true });
  });
});

/** Which fields an entry may have, as the refusal of another one tells. */
function known(entry: object): string[] {
  try {
    parseFixture('x', [entry]);
  } catch (error) {
    return /\(known: (.*?)\)/.exec((error as Error).message)?.[1]?.split(', ') ?? [];
  }
  return [];
}

describe('the page on fixtures', () => {
  const page = readFileSync(new URL('../../fixtures/README.md', import.meta.url), 'utf8');
  const host = { realpath: '/sys', config: packed(Buffer.alloc(0)), modalias: '' };

  test.each([
    ...known({ ...bridge, virtual: { unknown: 1 } }),
    ...known({ ...host, virtual: { unknown: 1 } }),
    ...FIXTURE_NAMES,
  ])('speaks of %s', (word) => {
    expect(page).toContain(`\`${word}\``);
  });

  test('is held against more than nothing', () => {
    expect(known({ ...bridge, virtual: { unknown: 1 } })).toContain('vuid');
    expect(known({ ...host, virtual: { unknown: 1 } })).toContain('pageSize');
  });
});

describe('the shipped fixtures', () => {
  test('are what their sources say (npm run fixtures -w driver-core writes them)', async () => {
    expect(FIXTURE_NAMES).toEqual(Object.keys(machines));
    for (const [name, entries] of Object.entries(machines)) {
      // Compared decoded: another zlib may pack the same bytes otherwise.
      expect(await loadFixture(name)).toEqual(parseFixture(name, structuredClone(entries)));
    }
  });

  test('come with a bundle', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'fixture-'));
    const file = join(directory, 'bundle.mjs');
    const load = new URL('load.ts', import.meta.url).pathname;
    const contents = `import { loadFixture } from ${JSON.stringify(load)}; console.log((await loadFixture('gb300-tray')).functions.length);`;
    await build({
      stdin: { contents, resolveDir: directory },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: file,
    });
    const ran = spawnSync(process.execPath, [file], { cwd: directory, encoding: 'utf8', timeout: 20_000 });
    expect(ran.stdout.trim()).toBe(`${(await loadFixture('gb300-tray')).functions.length}`);
    await rm(directory, { recursive: true });
  });
});

/** The tray as a user of rdma_topo would send it. */
function plain(): Record<string, unknown>[] {
  const entries = structuredClone(machines['gb300-tray'] ?? []).filter((entry) => entry['realpath'] !== '/sys');
  return entries.map((entry) => Object.fromEntries(Object.entries(entry).filter(([field]) => field !== 'virtual')));
}

describe('a dump from the field, without any extension', () => {
  test('makes a host on which the pairs are as VPD V3 says', () => {
    const host = createVirtualHost(parseFixture('dump.json', plain()));
    const nic = host.kernel.hardware.get('0000:03:00.0');
    expect(nic?.firmware).toMatchObject({
      dataDirectVuid: 'VT2547VIRT001MLNXDATADIRECT0',
      linkLayer: 'InfiniBand',
      portState: 'ACTIVE',
    });
    expect(host.kernel.hardware.get('0016:03:00.0')?.firmware).toMatchObject({
      dataDirectVuid: undefined,
      linkLayer: 'Ethernet',
    });
    expect(host.kernel.rdmaDevices().map((device) => [device.name, device.number])).toEqual(
      [0, 1, 2, 3, 4].map((n) => [`mlx5_${n}`, n]),
    );
    expect(host.sysfs.link('bus/pci/devices/0009:03:00.0/driver')).toMatch(/\/bus\/pci\/drivers\/mlx5_ib$/);
    expect(host.pageSize).toBe(4096);
    expect(refused(host.proc.read('net/route'))).toBe(false);
  });

  test('a NIC that showed no RDMA device and no interface had no driver', () => {
    const entries = plain().map((entry) =>
      String(entry['realpath']).endsWith('/0002:03:00.0') ? { ...entry, subsystems: {} } : entry,
    );
    const host = createVirtualHost(parseFixture('dump.json', entries));
    expect(host.sysfs.link('bus/pci/devices/0002:03:00.0/driver')).toMatchObject({ code: 'ENOENT' });
  });

  test('VFs are found by the SR-IOV capability of their PF', () => {
    const config = Buffer.alloc(4096);
    config.writeUInt32LE(0x0001_0010, 0x100);
    config.writeUInt16LE(1, 0x108);
    config.writeUInt16LE(2, 0x110);
    config.writeUInt16LE(1, 0x114);
    config.writeUInt16LE(1, 0x116);
    const nic = {
      ...bridge,
      modalias: 'pci:v000015B3d00001023sv000015B3sd00000040bc02sc00i00',
      config: packed(config),
    };
    const vf = { ...bridge, modalias: 'pci:v000015B3d0000101Esv000015B3sd00000040bc02sc00i00' };
    const host = createVirtualHost(
      parseFixture('dump.json', [
        { ...nic, realpath: '/sys/devices/pci0000:00/0000:03:00.0', subsystems: { infiniband: ['mlx5_0'] } },
        { ...vf, realpath: '/sys/devices/pci0000:00/0000:03:00.1' },
        { ...vf, realpath: '/sys/devices/pci0000:00/0000:03:00.2' },
        { ...vf, realpath: '/sys/devices/pci0000:00/0000:03:00.3' },
      ]),
    );
    expect(host.sysfs.link('bus/pci/devices/0000:03:00.2/physfn')).toBe('../0000:03:00.0');
    expect(host.sysfs.link('bus/pci/devices/0000:03:00.0/virtfn1')).toBe('../0000:03:00.2');
    expect(host.sysfs.link('bus/pci/devices/0000:03:00.3/physfn')).toMatchObject({ code: 'ENOENT' });

    // They go with their PF, and only a bound PF has any.
    applyChange(host, ['unbind', '0000:03:00.0']);
    expect(host.sysfs.list('bus/pci/devices')).toEqual(['0000:03:00.0', '0000:03:00.3']);
    expect(() => applyChange(host, ['add', '0000:03:00.1'])).toThrow(/its PF 0000:03:00.0 has no driver/);
  });
});
