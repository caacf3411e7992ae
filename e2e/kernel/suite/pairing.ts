// Which NIC has which DMA function while functions come and go in any order: driver-core's registry says what the kernel does.

import { describe, expect, test } from 'vitest';
import { withKeyword } from '../../../driver-core/src/virtual/vpd.ts';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';

const { nic0, nic1, dma0, dma1 } = ADDRESS;
const both = (dma: string) => ({ kernel: dma, driverCore: dma });
const none = { kernel: 'ENODEV', driverCore: 'none' };

type Step = readonly ['unbind' | 'bind', string];
const orders: Readonly<Record<string, { steps: readonly Step[]; agreed: ReturnType<typeof both> }>> = {
  'NIC before function': {
    steps: [
      ['unbind', nic0],
      ['unbind', dma0],
      ['bind', nic0],
      ['bind', dma0],
    ],
    agreed: both(dma0),
  },
  'function before NIC': {
    steps: [
      ['unbind', dma0],
      ['unbind', nic0],
      ['bind', dma0],
      ['bind', nic0],
    ],
    agreed: both(dma0),
  },
  'NIC without its function': {
    steps: [
      ['unbind', dma0],
      ['unbind', nic0],
      ['bind', nic0],
    ],
    agreed: none,
  },
};

export function pairing(tray: () => TrayMachine): void {
  const agreement = () =>
    tray().run(async ({ openLinuxHost, agreementOn }, nics) => agreementOn(await openLinuxHost(), nics), [
      [nic0, nic1],
    ] as const);
  const step = (...steps: Step[]) =>
    tray().run(({ drivers }, all) => all.forEach(([verb, address]) => drivers[verb](address)), [steps] as const);

  const after = async (...steps: Step[]) => {
    await step(...steps);
    return agreement();
  };

  describe('pairing', () => {
    test('each NIC has the function of its own VUID', async () => {
      expect(await agreement()).toEqual([both(dma0), both(dma1)]);
    });

    test.each(Object.entries(orders))('%s', async (_name, { steps, agreed }) => {
      expect(await after(...steps)).toEqual([agreed, both(dma1)]);
    });

    test('two NICs on one VUID have the same function, and lose it together', async () => {
      await tray().setFaults('nic1', { vuids: [tray().vuid('nic0')] });
      await tray().rebind('nic1');
      expect(await agreement()).toEqual([both(dma0), both(dma0)]);
      expect(await after(['unbind', dma0])).toEqual([none, none]);
      expect(await after(['bind', dma0])).toEqual([both(dma0), both(dma0)]);
    });

    // The kernel pairs when a function comes (the last one counts), and takes the pairing away with any function of that VUID.
    test('of two functions with equal VUID the last to come is taken, and whichever goes takes it away', async () => {
      await tray().setVpd('dma1', withKeyword(tray().vpd('dma1'), 'VU', tray().vuid('nic0')));
      expect(await after(['unbind', dma1], ['bind', dma1])).toEqual([both(dma1), none]);
      expect(await after(['unbind', dma0])).toEqual([none, none]);
      expect(await after(['bind', dma0])).toEqual([both(dma0), none]);
      expect(await after(['unbind', dma1])).toEqual([none, none]);
    });
  });
}
