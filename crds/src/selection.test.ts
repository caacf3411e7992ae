// Which NICs a policy takes: what is dangerous or old only if it is named.
import { expect, test } from 'vitest';

import { resourceOf, type SelectableNic, selectsNic } from './selection.ts';
import type { NicSelector } from './types.ts';

type Nic = SelectableNic['nic'];

const ID = '0000:03:00.0';
const pf: Nic = { function: 'PF', model: 'ConnectX-8', linkLayer: 'InfiniBand' };
const vf: Nic = { ...pf, function: 'VF' };
const byAddress: NicSelector = { pciAddresses: [ID] };
const byName: NicSelector = { ibDevices: ['mlx5_0'] };

function takes(nics: NicSelector, nic: Partial<Nic>): boolean {
  return selectsNic(nics, { id: ID, name: 'mlx5_0', nic: { ...pf, ...nic } });
}

test.each<[what: string, nic: Partial<Nic>]>([
  ['a ConnectX-8', {}],
  ['a ConnectX-9', { model: 'ConnectX-9' }],
  ['a ConnectX-10 with a suffix', { model: 'ConnectX-10 VPI' }],
  ['one with an Ethernet port', { linkLayer: 'Ethernet' }],
])('a policy without nics takes %s', (_what, nic) => {
  expect(takes({}, nic)).toBe(true);
});

test.each<[what: string, nic: Partial<Nic>]>([
  ['a ConnectX-7', { model: 'ConnectX-7' }],
  ['a ConnectX-7 with a suffix', { model: 'ConnectX-7 VPI' }],
  ['a BlueField', { model: 'BlueField-3' }],
  ['one whose model is not known', { model: undefined }],
  ['a VF', vf],
])('a policy without nics does not take %s, one that names it does', (_what, nic) => {
  expect(takes({}, nic)).toBe(false);
  expect(takes({ linkLayer: 'InfiniBand' }, nic)).toBe(false);
  expect(takes(byAddress, nic)).toBe(true);
  expect(takes(byName, nic)).toBe(true);
});

test('the NIC that carries the node’s default route is taken by its PCI address alone', () => {
  const uplink = { defaultRoute: true };
  expect(takes({}, uplink)).toBe(false);
  expect(takes(byName, uplink)).toBe(false);
  expect(takes({ function: 'PF' }, uplink)).toBe(false);
  expect(takes(byAddress, uplink)).toBe(true);
});

test('VFs are taken by a policy that asks for VFs, those of old adapters are not', () => {
  expect(takes({ function: 'VF' }, vf)).toBe(true);
  expect(takes({ function: 'VF' }, { ...vf, model: undefined })).toBe(true); // a guest does not see the generation
  expect(takes({ function: 'VF' }, { ...vf, model: 'ConnectX-7' })).toBe(false);
  expect(takes({ function: 'VF' }, pf)).toBe(false);
  expect(takes({ function: 'PF' }, vf)).toBe(false);
});

test('all fields that are given must match', () => {
  expect(takes({ ...byAddress, linkLayer: 'InfiniBand', function: 'PF' }, {})).toBe(true);
  expect(takes({ ...byAddress, linkLayer: 'Ethernet' }, {})).toBe(false);
  expect(takes({ ...byAddress, function: 'VF' }, {})).toBe(false);
  expect(takes({ ...byAddress, ibDevices: ['mlx5_1'] }, {})).toBe(false);
  expect(takes({ pciAddresses: ['0000:04:00.0'] }, {})).toBe(false);
  expect(takes({ pciAddresses: [] }, {})).toBe(false);
});

test('of several resources the first that selects a NIC has it', () => {
  const path: SelectableNic = { id: ID, name: 'mlx5_0', nic: pf };
  const resources = [{ nics: { linkLayer: 'Ethernet' as const } }, { nics: byName }, { nics: {} }];
  expect(resourceOf(resources, path)).toBe(resources[1]);
  expect(resourceOf(resources.slice(0, 1), path)).toBeUndefined();
});
