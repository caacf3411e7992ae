// Registering DMABUFs for data direct: what the kernel answers to each request, errno by errno.

import { beforeAll, describe, expect, test } from 'vitest';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';

/** `ok`, an errno, or driver-core's own refusal before the kernel is asked. */
const expected: Readonly<Record<string, string>> = {
  'of a udmabuf': 'ok',
  'of no file': 'EBADF',
  'of a file that is no DMABUF': 'EINVAL',
  'of one page of a udmabuf': 'ok',
  'of more than the udmabuf has': 'EINVAL',
  'of nothing': 'EINVAL',
  'at an address within a page': 'EINVAL',
  'at an address within a page, of as much within a page': 'EOPNOTSUPP',
  'at an address within a page, by driver-core': 'REGISTRATION_IOVA_UNALIGNED',
  'end of a region': 'ok',
  'end of the protection domain while it has a region': 'EBUSY',
  'without driver: of a udmabuf': 'EINVAL',
  'without driver: of no file': 'EINVAL',
  'without driver: end of a region that was made before': 'ok',
  'with the driver again: of a udmabuf': 'ok',
  'with the driver again: probe': 'ok',
};

export function registration(tray: () => TrayMachine): void {
  describe('data direct registration', () => {
    let answers: Readonly<Record<string, string>> = {};

    beforeAll(async () => {
      answers = await tray().run(
        async ({ openLinuxHost, askRegistration }, nic, dma) => askRegistration(await openLinuxHost(), nic, dma),
        [ADDRESS.nic0, ADDRESS.dma0] as const,
      );
    });

    test.each(Object.entries(expected))('%s: %s', (name, answer) => {
      expect(answers[name]).toBe(answer);
    });

    test('the DMABUF is attached to the DMA function and to no other', async () => {
      const attached = await tray().run(
        async ({ openLinuxHost, DataDirect, fs, must }, nic) => {
          const host = await openLinuxHost();
          const open = await new DataDirect(host).openNic(nic);
          const dmabuf = must(await host.dmabuf(65536));
          await (await open.allocPd()).register({ fd: dmabuf.fd, length: 65536 });
          const buffers = fs.readFileSync('/sys/kernel/debug/dma_buf/bufinfo', 'utf8');
          await open.close();
          await dmabuf.close();
          return [...buffers.matchAll(/Attached Devices:\n([^]*?)Total/g)].flatMap(
            ([, names = '']) => names.match(/[0-9a-f:.]{12}/g) ?? [],
          );
        },
        [ADDRESS.nic0],
      );
      expect(attached).toEqual([ADDRESS.dma0]);
    });
  });
}
