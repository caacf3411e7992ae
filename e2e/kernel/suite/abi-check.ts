// `data-direct verify --abi` on a software device: each raw request errno by errno, and what driver-core's host takes for granted of a real sysfs.
// Asked after software-device.ts, which makes the device.

import { describe, expect, test } from 'vitest';
import type { Machine } from '../machine.ts';

export function abiCheck(machine: () => Machine, spare: string): void {
  describe('verify --abi', () => {
    test('finds every answer of a software device right', async () => {
      const said = await machine().shell('data-direct verify --abi --json uverbs0');
      const { ok, devices } = JSON.parse(said) as {
        ok: boolean;
        devices: { report: { kind: string; answers: { step: string; verdict: string }[] } }[];
      };
      const [device] = devices;
      const wrong = device?.report.answers.filter(({ verdict }) => verdict === 'wrong').map(({ step }) => step);
      const right = device?.report.answers.filter(({ verdict }) => verdict === 'right');
      expect({ ok, kind: device?.report.kind, wrong }).toEqual({ ok: true, kind: 'without DMABUFs', wrong: [] });
      expect(right?.length).toBeGreaterThan(25);
    });
  });

  describe('sysfs', () => {
    test('makes a new link each time a driver takes a function, and keeps it whatever it forgets', async () => {
      const [first, again, forgotten, gone, ...later] = await machine().run(
        async ({ openLinuxHost, fs, code }, address) => {
          const { sysfs } = await openLinuxHost();
          const link = `bus/pci/devices/${address}/driver`;
          const identity = (): string => {
            const answer = sysfs.identity(link);
            return typeof answer === 'string' ? answer : code(answer);
          };
          const seen = [identity(), identity()];
          fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
          seen.push(identity());
          for (let turn = 0; turn < 3; turn++) {
            const driver = fs.realpathSync(`/sys/${link}`);
            fs.writeFileSync(`${driver}/unbind`, address);
            if (turn === 0) seen.push(identity());
            fs.writeFileSync(`${driver}/bind`, address);
            seen.push(identity());
          }
          return seen;
        },
        [spare],
      );
      expect([again, forgotten, gone]).toEqual([first, first, 'ENOENT']);
      expect(new Set([first, ...later]).size).toBe(4);
    });
  });

  describe('dma-heap', () => {
    test('gives the DMABUF where there is no udmabuf', async () => {
      const exporter = await machine().run(async ({ openLinuxHost, fs, code }) => {
        fs.mkdirSync('/tmp/without-udmabuf/dma_heap', { recursive: true });
        fs.symlinkSync('/dev/dma_heap/system', '/tmp/without-udmabuf/dma_heap/system');
        const host = await openLinuxHost({ devRoot: '/tmp/without-udmabuf' });
        const dmabuf = await host.dmabuf(65536);
        if (!('fd' in dmabuf)) return code(dmabuf);
        const info = fs.readFileSync(`/proc/self/fdinfo/${dmabuf.fd}`, 'utf8');
        await dmabuf.close();
        return /^exp_name:\s*(.*)$/m.exec(info)?.[1];
      }, []);
      expect(exporter).toBe('system');
    });
  });
}
