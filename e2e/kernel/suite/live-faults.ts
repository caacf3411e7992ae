// Faults that come while everything is at work, and go again: a program that follows the node's paths finds out by itself.

import type { PathReason } from '@data-direct/crds';
import { describe, expect, test } from 'vitest';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';

const { nic0 } = ADDRESS;

interface Change {
  readonly by: (tray: TrayMachine) => Promise<unknown>;
  /** What driver-core then makes of the path. */
  readonly reason: PathReason;
}

const stories: Readonly<Record<string, readonly [gone: Change, back: Change]>> = {
  'the port goes down': [
    { by: (tray) => tray.setFaults('nic0', { port: 'down' }), reason: 'PortDown' },
    { by: (tray) => tray.setFaults('nic0', {}), reason: 'Paired' },
  ],
  'the firmware dies, so that the driver gives up': [
    { by: (tray) => tray.setFaults('nic0', { dead: true }), reason: 'WaitingForDriver' },
    { by: (tray) => tray.setFaults('nic0', {}).then(() => tray.rebind('nic0')), reason: 'Paired' },
  ],
  'the VUID changes, and the driver asks anew': [
    {
      by: (tray) => tray.setFaults('nic0', { vuids: ['another'] }).then(() => tray.rebind('nic0')),
      reason: 'NoDmaFunction',
    },
    { by: (tray) => tray.setFaults('nic0', {}).then(() => tray.rebind('nic0')), reason: 'Paired' },
  ],
  'the DMA function falls off the bus, and is replaced': [
    { by: (tray) => tray.loseFromBus('dma0').then(() => tray.rebind('dma0')), reason: 'VpdUnreadable' },
    { by: (tray) => tray.replace('dma0'), reason: 'Paired' },
  ],
};

export function liveFaults(tray: () => TrayMachine): void {
  const becomes = (reason: PathReason) =>
    tray().run(async ({ kept }, nic, wanted) => kept.paths?.becomes(nic, wanted), [nic0, reason] as const);

  describe('a program that follows the paths finds out when', () => {
    test.each(Object.entries(stories))('%s', async (_name, [gone, back]) => {
      await tray().run(({ PathFollower, kept }) => void (kept.paths = new PathFollower()), []);
      const seen = [await becomes('Paired')];
      for (const { by, reason } of [gone, back]) {
        await by(tray());
        seen.push(await becomes(reason));
      }
      expect(seen).toEqual(['Paired', gone.reason, back.reason]);
    });
  });
}
