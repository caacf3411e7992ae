import { describe, expect, it } from 'vitest';

import type { Files } from '../host/host.ts';
import { Errno } from '../host/host.ts';
import type { Malformed } from '../host/malformed.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { defaultRouteInterfaces } from './default-route.ts';

function absent(path: string): Errno {
  return new Errno('ENOENT', 2, path);
}

/** Files by path, directories by their names. */
function files(contents: Readonly<Record<string, string | readonly string[]>>): Files {
  return {
    list: (path) => (Array.isArray(contents[path]) ? [...contents[path]] : absent(path)),
    read: (path) => (typeof contents[path] === 'string' ? Buffer.from(contents[path]) : absent(path)),
    link: absent,
    identity: absent,
    real: absent,
    readSlow: async (path) => absent(path),
  };
}

const HEADER = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
const row = (name: string, destination: string, mask: string): string =>
  `${name}\t${destination}\t0102A8C0\t0003\t0\t0\t100\t${mask}\t0\t0\t0                     \n`;
const row6 = (destination: string, prefix: string, name: string): string =>
  `${destination} ${prefix} ${'0'.repeat(32)} 00 fe80${'0'.repeat(27)}1 00000400 00000001 00000000 00000003     ${name}\n`;

const ANYWHERE6 = '0'.repeat(32);

describe('the interface that carries the default route', () => {
  it('is the one whose destination and mask are nothing', () => {
    const proc = files({
      'net/route': HEADER + row('eth0', '0002A8C0', '00FFFFFF') + row('eth1', '00000000', '00000000'),
    });
    expect([...defaultRouteInterfaces(proc, files({}))]).toEqual(['eth1']);
  });

  it('is not the half of the Internet that a VPN takes', () => {
    const proc = files({ 'net/route': HEADER + row('tun0', '00000000', '00000080') });
    expect([...defaultRouteInterfaces(proc, files({}))]).toEqual([]);
  });

  it('is found for IPv6 too, where lo only says that there is none', () => {
    const proc = files({
      'net/ipv6_route':
        row6(ANYWHERE6, '00', 'eth2') + row6(ANYWHERE6, '00', 'lo') + row6(`fe80${'0'.repeat(28)}`, '40', 'eth3'),
    });
    expect([...defaultRouteInterfaces(proc, files({}))]).toEqual(['eth2']);
  });

  it('is every member of a bond below a VLAN', () => {
    const proc = files({ 'net/route': HEADER + row('bond0.7', '00000000', '00000000') });
    const sysfs = files({
      'class/net/bond0.7': ['address', 'lower_bond0'],
      'class/net/bond0': ['lower_eth0', 'lower_eth1', 'upper_bond0.7'],
      'class/net/eth0': ['address', 'upper_bond0'],
    });
    expect([...defaultRouteInterfaces(proc, sysfs)].toSorted()).toEqual(['bond0', 'bond0.7', 'eth0', 'eth1']);
  });

  it.each([
    ['net/route', HEADER, row('eth0', '0002A8C0', '00FFFFFF'), 'eth1\t000000', 'Iface Destination Gateway'],
    ['net/ipv6_route', '', row6(ANYWHERE6, '00', 'lo'), `${ANYWHERE6} 0`, 'destination, prefix length'],
  ])(
    'is looked for in the other lines of /proc/%s where one is malformed, which is told with its place',
    (path, header, good, bad, rule) => {
      const last = path === 'net/route' ? row('eth2', '00000000', '00000000') : row6(ANYWHERE6, '00', 'eth2');
      const told: Malformed[] = [];
      const proc = files({ [path]: `${header}${good}${bad}\n${last}` });
      expect([...defaultRouteInterfaces(proc, files({}), (each) => told.push(each))]).toEqual(['eth2']);
      const offset = header.length + good.length;
      expect(told).toEqual([
        { file: `/proc/${path}`, offset, rule: expect.stringContaining(rule) as string, found: JSON.stringify(bad) },
      ]);
    },
  );

  it('makes no words about what the virtual kernel writes', async () => {
    const host = createVirtualHost(await loadFixture('dgx-station'));
    const told: Malformed[] = [];
    expect(defaultRouteInterfaces(host.proc, host.sysfs, (each) => told.push(each)).size).toBe(1);
    expect(told).toEqual([]);
  });

  it('is not known where the table cannot be read, which is told', () => {
    const told: Malformed[] = [];
    const proc = { ...files({}), read: (path: string) => new Errno('EACCES', 13, path) };
    expect(defaultRouteInterfaces(proc, files({}), (each) => told.push(each)).size).toBe(0);
    expect(told).toMatchObject([
      { file: '/proc/net/route', found: 'EACCES (13)' },
      { file: '/proc/net/ipv6_route', found: 'EACCES (13)' },
    ]);
  });

  it('is none where /proc is not mounted', () => {
    const told: Malformed[] = [];
    expect(defaultRouteInterfaces(files({}), files({}), (each) => told.push(each)).size).toBe(0);
    expect(told).toEqual([]);
  });
});
