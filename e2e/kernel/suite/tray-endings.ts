// A machine that stops while its NIC is at work: what the model does then, and whether it serves the next one.

import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { until } from '../../rig/wait.ts';
import * as wire from '../cx8/vfio-user/wire.ts';
import { ADDRESS, TrayMachine } from '../tray-machine.ts';
import type { KernelSeries } from '../versions.ts';

const length = 65_536;
/** A second boot, on a machine with other work. */
const bootMs = 180_000;
const forgotten = { commands: {}, traffic: {}, memoryKeys: 0, queuePairs: 0 };
const GET_INFO = 4;

/** Has to come last: there is no machine afterwards. */
export function trayEndings(tray: () => TrayMachine, kernel: KernelSeries): void {
  describe('machine that stops', () => {
    test(
      'a reset in the middle of WRITEs makes the NICs new, and the machine comes up with them again',
      { timeout: bootMs },
      async () => {
        const { ended } = await writingWithoutEnd(tray());
        await tray().machine.reset();
        expect(await ended).toMatchObject({ code: 'MACHINE_RESET' });
        expect(await tray().tray.report('nic0')).toEqual(forgotten);
        await tray().restore();
        const outcome = await tray().run(
          ({ Loopback }, nic, size) =>
            Loopback.on(nic, size, async (loopback) => loopback.write(await loopback.registerDataDirect())),
          [ADDRESS.nic0, length] as const,
        );
        expect(outcome).toEqual({ status: 'success', data: 'arrived' });
      },
    );

    test('QEMU killed in the middle of WRITEs is a line for each function, and the tray serves the next machine', async () => {
      const { ended } = await writingWithoutEnd(tray());
      const served = tray().tray;
      const before = (await served.log()).length;
      // A function that was unplugged by an earlier case has such a line already.
      const lines = async (): Promise<string[]> => (await served.log()).slice(before).split('\n').filter(Boolean);
      await tray().kill();
      expect(await ended).toMatchObject({ code: 'MACHINE_ENDED' });
      const names = Object.keys(ADDRESS);
      const gone = names.map((name) => `${name}: the machine has gone`);
      await until({ what: 'the end of the connections', timeoutMs: 10_000, intervalMs: 20 }, async () => {
        const said = await lines();
        return gone.every((line) => said.includes(line)) ? undefined : said.join('\n');
      });
      const ends = (await lines()).filter((line) => !line.includes('work request'));
      expect(ends.toSorted()).toEqual(gone.toSorted());
      expect(await served.report('nic0')).toEqual(forgotten);
      for (const name of names) expect(await isServed(served.socket(name))).toBe(true);
    });

    // The one capability that cannot be a row in the table of nic-answers.ts: the driver follows a NULL pointer where it gives up.
    test('a NIC without any port stops the kernel in the probe of its driver', { timeout: bootMs }, async () => {
      const append = ['LOAD=mlx5_core,ib_uverbs,mlx5_ib'];
      await expect(TrayMachine.start(kernel, { capabilities: { num_ports: 0 }, append })).rejects.toMatchObject({
        code: 'MACHINE_ENDED',
        fields: { how: 'its kernel panicked or rebooted', logs: expect.stringContaining('mlx5r_probe') },
      });
    });
  });
}

/** Returns when data move; `ended` is how the request in the guest ended. */
async function writingWithoutEnd({ run, tray }: TrayMachine): Promise<{ ended: Promise<unknown> }> {
  const before = (await tray.report('nic0')).traffic['dma0']?.written ?? 0;
  const writing = run(
    ({ Loopback }, nic, size) =>
      Loopback.on(nic, size, async (loopback) => {
        const region = await loopback.registerDataDirect();
        for (;;) await loopback.write(region);
      }),
    [ADDRESS.nic0, length] as const,
  ).catch((error: unknown) => error);
  await until({ what: 'data that move', timeoutMs: 30_000, intervalMs: 20 }, async () => {
    const written = (await tray.report('nic0')).traffic['dma0']?.written ?? 0;
    return written > before + length ? undefined : `${written} bytes`;
  });
  return { ended: writing };
}

/** Whether a vfio-user client gets an answer there. */
async function isServed(socket: string): Promise<boolean> {
  const client = connect(socket);
  try {
    client.write(wire.header.encode({ id: 1, command: GET_INFO, size: wire.header.size }));
    const [reply] = (await once(client, 'data', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
    const { command, error } = wire.header.read(reply);
    return command === GET_INFO && error === 0;
  } finally {
    client.destroy();
  }
}
