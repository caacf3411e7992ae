import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Errno } from '../host/host.ts';
import type { DmaSeen, KernelSeen, NicSeen } from '../path/snapshot.ts';
import { dmaAt, nicAt, vpdWith } from '../path/tray.fixture.ts';
import type { Pairing } from './evidence.ts';
import { pair } from './evidence.ts';

const DMA = ['0008', '0009', '0018'].map((domain) => `devices/pci${domain}:00/${domain}:00:00.0/${domain}:03:00.0`);
const NIC = ['0000', '0002', '0010'].map((domain) => `devices/pci${domain}:00/${domain}:00:00.0/${domain}:03:00.0`);

const says = (dma: string | undefined): KernelSeen => ({ answer: { dma }, refusal: undefined, verified: 'None' });
const dma = (index: number, serial: string, changes: Partial<DmaSeen> = {}): DmaSeen =>
  dmaAt(DMA[index] ?? '', { vpd: vpdWith({ V3: serial, VU: `${serial}DD` }), ...changes });
const nic = (index: number, serial: string, changes: Partial<NicSeen> = {}): NicSeen =>
  nicAt(NIC[index] ?? '', { vpd: vpdWith({ V3: serial }), kernel: undefined, ...changes });

/** What was found, in an order of its own. */
function facts(pairings: readonly Pairing[]) {
  return pairings
    .map(({ nic: of, dma: paired, evidence, byVpd, candidates, unclaimed }) => ({
      nic: of.fn.address,
      dma: paired?.fn.address,
      evidence,
      sets: [byVpd, candidates, unclaimed].map((some) => some.map(({ fn }) => fn.address).toSorted()),
    }))
    .toSorted((a, b) => (a.nic < b.nic ? -1 : 1));
}

describe('evidence', () => {
  it('of the kernel counts before that of the VPD', () => {
    const [pairing] = pair([nic(0, 'A', { kernel: says('0009:03:00.0') })], [dma(0, 'A'), dma(1, 'B')]);
    expect(pairing).toMatchObject({ evidence: 'KernelIoctl', dma: { fn: { address: '0009:03:00.0' } } });
    expect(pairing?.byVpd.map(({ fn }) => fn.address)).toEqual(['0008:03:00.0']);
  });

  it('of the VPD is the same serial, not the same VUID: a NIC’s own VUID is another string', () => {
    const keywords = vpdWith({ V3: 'A', VU: 'BDD' });
    const [pairing] = pair([nic(0, '', { vpd: keywords })], [dma(0, 'A'), dma(1, 'B')]);
    expect(pairing).toMatchObject({ evidence: 'VpdV3', dma: { fn: { address: '0008:03:00.0' } } });
  });

  it('takes a serial for equal whatever blanks follow it, and two empty ones for nothing', () => {
    expect(pair([nic(0, 'A  ')], [dma(0, 'A')])[0]?.dma).toBeDefined();
    expect(pair([nic(0, ' ')], [dma(0, ' ')])[0]?.dma).toBeUndefined();
  });

  it('leaves several candidates as several', () => {
    const [pairing] = pair([nic(0, 'A')], [dma(0, 'A'), dma(1, 'A')]);
    expect(pairing).toMatchObject({ dma: undefined, evidence: undefined });
    expect(pairing?.candidates).toHaveLength(2);
  });

  it('rules bound functions out once the kernel has said that it pairs none', () => {
    const [pairing] = pair(
      [nic(0, 'A', { kernel: says(undefined) })],
      [dma(0, 'A'), dma(1, 'A', { driver: undefined })],
    );
    expect(pairing?.dma?.fn.address).toBe('0009:03:00.0');
  });

  it('gives one DMA function to both ports of an adapter', () => {
    const pairings = pair([nic(0, 'A'), nic(1, 'A')], [dma(0, 'A')]);
    expect(pairings.map(({ dma: paired }) => paired?.fn.address)).toEqual(['0008:03:00.0', '0008:03:00.0']);
  });

  it('shows which functions nobody claims, to those who have none', () => {
    const unread = dma(1, 'B', { driver: undefined, vpd: new Errno('EIO', 5, 'vpd') });
    const [paired, single] = pair([nic(0, 'A'), nic(1, 'B', { kernel: says(undefined) })], [dma(0, 'A'), unread]);
    expect(paired?.unclaimed).toEqual([]);
    expect(single?.unclaimed).toEqual([unread]);
  });

  it('does not depend on the order in which functions are met', () => {
    const serial = fc.constantFrom('A', 'B', 'C');
    const kernel = fc.constantFrom(
      undefined,
      says(undefined),
      says('0008:03:00.0'),
      says('0009:03:00.0'),
      says('0018:03:00.0'),
    );
    const nics = fc.tuple(
      ...NIC.map((_, index) =>
        fc.record({ serial, kernel }).map((made) => nic(index, made.serial, { kernel: made.kernel })),
      ),
    );
    const driver = fc.constantFrom('mlx5_ib', undefined);
    const dmas = fc.tuple(
      ...DMA.map((_, index) =>
        fc.record({ serial, driver }).map((made) => dma(index, made.serial, { driver: made.driver })),
      ),
    );
    fc.assert(
      fc.property(nics, dmas, (someNics, someDmas) => {
        expect(facts(pair(someNics.toReversed(), someDmas.toReversed()))).toEqual(facts(pair(someNics, someDmas)));
      }),
    );
  });
});
