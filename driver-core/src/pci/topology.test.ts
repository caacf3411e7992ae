import { describe, expect, it } from 'vitest';

import * as tray from '../path/tray.fixture.ts';
import type { PciFunction } from './functions.ts';
import { complexRoot, isBelowRootPort, topologyOf } from './topology.ts';

const { functions: FUNCTIONS } = tray.snapshot();
const one = (address: string): PciFunction => {
  const found = FUNCTIONS.find((fn) => fn.address === address);
  if (!found) throw new Error(`no ${address}`);
  return found;
};
const addresses = (functions: readonly PciFunction[]): string[] => functions.map(({ address }) => address);

function without(...kinds: readonly PciFunction['kind'][]): PciFunction[] {
  return FUNCTIONS.filter(({ kind }) => !kinds.includes(kind));
}

/** A guest's function on the root bus of its own synthetic domain. */
const guest = (path: string): PciFunction => tray.nicAt(path).fn;

describe('the tree of functions', () => {
  it('puts beside each other what shares a root port', () => {
    const topology = topologyOf(FUNCTIONS);
    expect(addresses(topology.beside(one('0009:03:00.0')))).toContain('0009:06:00.0');
    expect(addresses(topology.beside(one('0000:03:00.0')))).toEqual(['0000:03:00.0']);
  });

  it('names a complex by its root port, or by the host bridge where there is none', () => {
    expect(complexRoot(one('0009:06:00.0'))).toBe('0009:00:00.0');
    expect(complexRoot(guest('devices/LNXSYSTM:00/pci0101:00/0101:00:00.0'))).toBe('pci0101:00');
    expect(isBelowRootPort(guest('devices/LNXSYSTM:00/pci0101:00/0101:00:00.0'))).toBe(false);
  });

  it('does not need the host bridge to be called pci: a platform device may stand before it', () => {
    const fn = guest('devices/platform/40000000.pcie/pci0009:00/0009:00:00.0/0009:01:00.0');
    expect(complexRoot(fn)).toBe('0009:00:00.0');
  });
});

describe('the platform', () => {
  it('is DataDirect as soon as there is one DMA function', () => {
    expect(topologyOf(FUNCTIONS).platform).toBe('DataDirect');
  });

  it('is Inline where a NIC and a GPU share a root port', () => {
    expect(topologyOf([...without('dma', 'nic'), tray.nicAt(tray.DMA_PATH).fn]).platform).toBe('Inline');
  });

  it('is Numa where a GPU hangs directly below its root port', () => {
    const gpu = tray.gpuAt('devices/pci0005:00/0005:00:00.0/0005:01:00.0').fn;
    expect(topologyOf([...without('dma', 'gpu'), gpu]).platform).toBe('Numa');
  });

  it('is Unknown where the DMA functions are missing, and not taken for one that needs none', () => {
    expect(topologyOf(without('dma')).platform).toBe('Unknown');
  });

  it('is Unknown without any GPU', () => {
    expect(topologyOf(without('dma', 'gpu')).platform).toBe('Unknown');
  });
});
