// An application of driver-core whose path is taken away and given back under it, with a region registered: what it is told, by uevents alone.

import { describe, expect, test } from 'vitest';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';
import type { Guest } from '../machine.ts';

const { nic0, dma0 } = ADDRESS;

interface Loss {
  readonly who: 'nic0' | 'dma0';
  readonly away: (tray: TrayMachine, address: string) => Promise<unknown>;
  readonly back: (tray: TrayMachine, address: string) => Promise<unknown>;
}

const inGuest =
  (work: (guest: Guest, address: string) => void): Loss['away'] =>
  (tray, address) =>
    tray.run(work, [address] as const);
const unbound = {
  away: inGuest(({ drivers }, address) => drivers.unbind(address)),
  back: inGuest(({ drivers }, address) => drivers.bind(address)),
};
const removed = {
  away: inGuest(({ drivers }, address) => drivers.remove(address)),
  back: inGuest(({ drivers }) => drivers.rescan()),
};
const losses: Readonly<Record<string, Loss>> = {
  'the DMA function loses its driver': { who: 'dma0', ...unbound },
  'the DMA function is removed through sysfs': { who: 'dma0', ...removed },
  'the DMA function is unplugged while it runs': {
    who: 'dma0',
    away: (tray) => tray.unplug('dma0'),
    back: (tray) => tray.plug('dma0'),
  },
  'the NIC loses its driver': { who: 'nic0', ...unbound },
  'the NIC is removed through sysfs': { who: 'nic0', ...removed },
};
/** A file on a NIC that went only lets go of what it has; one on a NIC whose DMA function went is good. */
const expected = {
  dma0: { region: 'revoked: DMA_FUNCTION_UNBOUND', deregistered: 'ok', again: 'EINVAL', afterwards: 'ok' },
  nic0: { region: 'revoked: DMA_FUNCTION_UNBOUND', deregistered: 'ok', again: 'EIO', afterwards: 'EIO' },
} as const;

export function bindings(tray: () => TrayMachine): void {
  describe('an application is told when', () => {
    test.each(Object.entries(losses))('%s, and comes back', async (_name, { who, away, back }) => {
      await tray().run(
        async ({ BindingFollower, kept }, nic) => {
          const follower = await BindingFollower.start(nic);
          kept.follower = follower;
          await follower.register();
          await follower.told('bound');
        },
        [nic0],
      );
      await away(tray(), ADDRESS[who]);
      const lost = await tray().run(async ({ kept: { follower } }) => {
        await follower?.told('unbound');
        return {
          region: follower?.region,
          deregistered: await follower?.deregister(),
          again: await follower?.registerAgain(),
        };
      }, []);
      await back(tray(), ADDRESS[who]);
      const found = await tray().run(async ({ kept: { follower } }) => {
        await follower?.told('bound');
        const afterwards = await follower?.registerAgain();
        await follower?.closeNic();
        const anew = await follower?.registerAgain();
        await follower?.end();
        return { afterwards, anew };
      }, []);
      expect({ ...lost, ...found }).toEqual({ ...expected[who], anew: 'ok' });
    });
  });

  describe('uevents', () => {
    test('of a DMA function that loses and gets its driver', async () => {
      const events = await tray().run(
        async ({ openLinuxHost, UeventListener, drivers }, address) => {
          const listener = new UeventListener(await openLinuxHost(), ({ env }) => env['PCI_SLOT_NAME'] === address);
          drivers.rebind(address);
          return listener.take(2);
        },
        [dma0],
      );
      expect(events.map(({ action, env }) => [action, env['PCI_ID'], env['PCI_CLASS'], env['DRIVER']])).toEqual([
        ['unbind', '15B3:2100', '80100', undefined],
        ['bind', '15B3:2100', '80100', 'mlx5_ib'],
      ]);
    });
  });
}
