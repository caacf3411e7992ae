import { describe, expect, it } from 'vitest';
import { oneDomain } from '../topologies.ts';
import { pciTree } from './topology.ts';

const nic = { id: 'cx8', socket: '/run/cx8.sock', bus: 'nic0-port' };

describe('the PCI tree', () => {
  it('makes the IOMMU first and each bridge before what is behind it', () => {
    const { devices } = pciTree('translating', oneDomain([{ oneGroup: true }]), [nic]);
    const ids = devices.map(({ id }) => id);
    expect(devices[0]?.driver).toBe('intel-iommu');
    const behindOthers = [...devices.entries()].filter(([, { bus }]) => bus !== undefined && bus !== 'pcie.0');
    expect(behindOthers).not.toEqual([]);
    for (const [index, { bus }] of behindOthers) expect(ids.slice(0, index)).toContain(bus);
  });

  it('tells the kernel which root ports let functions below them share a group', () => {
    const acs = pciTree('passthrough', oneDomain([{ oneGroup: true }, { oneGroup: false }, { oneGroup: true }]), []);
    expect(acs.append).toEqual([
      'intel_iommu=on',
      'iommu=pt',
      'pci=config_acs=xx111x0@0000:00:03.0;xx111x0@0000:00:05.0',
    ]);
  });

  it('says nothing to the kernel where nothing is asked', () => {
    expect(pciTree('none', [], [])).toEqual({ devices: [], append: [] });
  });

  it('gives no two ports the same chassis and slot', () => {
    const { devices } = pciTree('none', oneDomain([{ oneGroup: true }, { oneGroup: true }]), []);
    const slots = devices
      .filter(({ chassis }) => chassis !== undefined)
      .map(({ chassis, slot }) => JSON.stringify([chassis, slot]));
    expect(new Set(slots).size).toBe(slots.length);
  });
});
