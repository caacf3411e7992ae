// Kernel modules that come and go under a program of driver-core.

import { describe, expect, test } from 'vitest';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';
import type { KernelSeries } from '../versions.ts';

const { nic0 } = ADDRESS;
/** mlx5_ib brings ib_uverbs with it in 6.12 alone. */
const withoutUverbs: Readonly<Record<KernelSeries, string>> = { '6.12': 'ok', '7.3': 'NIC_WITHOUT_VERBS' };

export function modules(tray: () => TrayMachine, kernel: KernelSeries): void {
  describe('a program that was there before', () => {
    test('the uverbs module opens the NIC once that is loaded', async () => {
      const outcomes = await tray().run(
        async ({ openLinuxHost, DataDirect, drivers, shell, must }, nic) => {
          await drivers.unload();
          const host = await openLinuxHost();
          const dataDirect = new DataDirect(host);
          const register = async (): Promise<string> => {
            try {
              const open = await dataDirect.openNic(nic);
              const dmabuf = must(await host.dmabuf(65536));
              await (await open.allocPd()).register({ fd: dmabuf.fd, length: 65536 });
              await open.close();
              await dmabuf.close();
              return 'ok';
            } catch (error) {
              return (error as { code?: string }).code ?? String(error);
            }
          };
          const without = await register();
          await shell('modprobe mlx5_core prof_sel=0');
          const core = await register();
          await shell('modprobe mlx5_ib');
          const ib = await register();
          await shell('modprobe ib_uverbs');
          return { without, core, ib, uverbs: await register() };
        },
        [nic0],
      );
      expect(outcomes).toEqual({
        without: 'NIC_WITHOUT_VERBS',
        core: 'NIC_WITHOUT_VERBS',
        ib: withoutUverbs[kernel],
        uverbs: 'ok',
      });
    });

    test('all modules were unloaded is told of that, and of their return', async () => {
      const again = await tray().run(
        async ({ BindingFollower, drivers }, nic) => {
          const follower = await BindingFollower.start(nic);
          await drivers.unload();
          await follower.told('unbound');
          await drivers.load();
          await follower.told('bound');
          const registered = await follower.registerAgain();
          await follower.end();
          return registered;
        },
        [nic0],
      );
      expect(again).toBe('ok');
    });
  });
}
