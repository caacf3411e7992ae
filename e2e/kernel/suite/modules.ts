// Kernel modules that come and go under a program of driver-core.

import { describe, expect, test } from 'vitest';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';
import type { KernelSeries } from '../versions.ts';

/** mlx5_ib brings ib_uverbs with it in 6.12 alone. */
const withoutUverbs: Readonly<Record<KernelSeries, string>> = { '6.12': 'ok', '7.3': 'NIC_WITHOUT_VERBS' };

export function modules(tray: () => TrayMachine, kernel: KernelSeries): void {
  describe('modules', () => {
    test('a program that was there before them is told when they go and come, and registers once uverbs is loaded', async () => {
      const outcomes = await tray().run(
        async ({ BindingFollower, drivers, shell }, nic) => {
          const follower = await BindingFollower.start(nic);
          await drivers.unload();
          await follower.told('unbound');
          const registered = [await follower.registerAgain()];
          for (const load of ['modprobe mlx5_core prof_sel=0', 'modprobe mlx5_ib', 'modprobe ib_uverbs']) {
            await shell(load);
            registered.push(await follower.registerAgain());
            await follower.closeNic();
          }
          await follower.told('bound');
          await follower.end();
          return registered;
        },
        [ADDRESS.nic0],
      );
      expect(outcomes).toEqual(['NIC_WITHOUT_VERBS', 'NIC_WITHOUT_VERBS', withoutUverbs[kernel], 'ok']);
    });
  });
}
