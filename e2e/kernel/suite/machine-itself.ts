// The rig itself: whatever happens to a machine, the test that uses it learns why, and nothing is left behind.

import { readdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { boot, type Machine } from '../machine.ts';
import type { KernelSeries } from '../versions.ts';

/** Has to come last: there is no machine afterwards. */
export function machineItself(machine: () => Machine, kernel: KernelSeries): void {
  describe('machine', () => {
    test('values go in and out as they are', async () => {
      const value = {
        text: 'ä',
        bytes: Buffer.from([0, 255]),
        big: 1n << 63n,
        list: [undefined, null],
        map: new Map([[1, 2]]),
      };
      expect(await machine().run((_guest, same) => same, [value])).toEqual(value);
    });

    test('an error in the guest is told with its place', async () => {
      const failing = machine().run(() => {
        throw new RangeError('too far');
      }, []);
      await expect(failing).rejects.toMatchObject({
        code: 'GUEST_FAILED',
        message: expect.stringContaining('RangeError: too far'),
      });
    });

    test('a shell line that fails is told with what it wrote', async () => {
      await expect(machine().shell('echo out; echo wrong >&2; exit 3')).rejects.toThrow('wrong');
    });

    test('many requests at once get their own answers', async () => {
      const numbers = Array.from({ length: 50 }, (_, index) => index);
      const answers = await Promise.all(numbers.map((number) => machine().run((_guest, same) => same, [number])));
      expect(answers).toEqual(numbers);
    });

    test('two megabytes come back whole', async () => {
      expect(await machine().run(() => 'x'.repeat(2 << 20), [])).toHaveLength(2 << 20);
    });

    test('a file that the guest writes is in the host’s folder, and the other way round', async () => {
      await machine().shell('echo hello >/work/from-guest');
      expect(await readdir(machine().work)).toEqual(['from-guest']);
    });

    test('the kernel log goes up to the present', async () => {
      await machine().shell('echo "the present" >/dev/kmsg');
      expect(await machine().dmesg()).toMatch(/Linux version [^]*the present\n$/);
    });

    test('QEMU refuses what it cannot do', async () => {
      await expect(machine().qmp('device_del', { id: 'nobody' })).rejects.toMatchObject({ code: 'QMP_REFUSED' });
    });

    test('a request that never ends is given up', async () => {
      const hanging = machine().run(() => new Promise(() => undefined), [], { timeoutMs: 100 });
      await expect(hanging).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' });
    });

    test('one that QEMU refuses is told in QEMU’s words', async () => {
      const refused = boot({ kernel, otherDevices: [{ driver: 'no-such-device' }] });
      await expect(refused).rejects.toMatchObject({
        code: 'MACHINE_ENDED',
        fields: {
          how: 'QEMU exited with 1',
          logs: expect.stringContaining("'no-such-device' is not a valid device model"),
        },
      });
    });

    test('one whose kernel does not get far is told in the kernel’s words', async () => {
      await expect(boot({ kernel, append: ['rdinit=/nothing'] })).rejects.toMatchObject({
        code: 'MACHINE_ENDED',
        fields: { how: 'its kernel panicked or rebooted', logs: expect.stringContaining('Unable to mount root fs') },
      });
    });

    test('a kernel panic ends what waits, with the kernel’s last words, and what comes later', async () => {
      const crash = machine().shell('echo c >/proc/sysrq-trigger');
      await expect(crash).rejects.toMatchObject({
        code: 'MACHINE_ENDED',
        fields: { how: 'its kernel panicked or rebooted', logs: expect.stringContaining('sysrq triggered crash') },
      });
      await expect(machine().run(() => 1, [])).rejects.toMatchObject({ code: 'MACHINE_ENDED' });
    });
  });
}
