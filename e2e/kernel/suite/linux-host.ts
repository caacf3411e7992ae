// driver-core's door to a real node (host/linux.ts), asked in the guest and held against what the guest's own tools say.

import { describe, expect, test } from 'vitest';
import type { Machine } from '../machine.ts';

export function linuxHost(machine: () => Machine, spare: string): void {
  describe('host', () => {
    test('names the kernel and its page size', async () => {
      const told = await machine().run(async ({ openLinuxHost }) => {
        const { kernelRelease, pageSize } = await openLinuxHost();
        return { kernelRelease, pageSize };
      }, []);
      const kibibytes = await machine().shell(`awk '/KernelPageSize/ { print $2; exit }' /proc/self/smaps`);
      expect(told).toEqual({ kernelRelease: machine().release, pageSize: Number(kibibytes) * 1024 });
    });

    test('reads sysfs as the shell does', async () => {
      const told = await machine().run(
        async ({ openLinuxHost }, address) => {
          const { sysfs } = await openLinuxHost();
          const device = `bus/pci/devices/${address}`;
          return {
            list: sysfs.list('bus/pci/devices'),
            link: sysfs.link(`${device}/driver`),
            real: sysfs.real(device),
            read: sysfs.read(`${device}/vendor`),
            config: await sysfs.readSlow(`${device}/config`, address),
          };
        },
        [spare],
      );
      const shell = async (line: string): Promise<string> =>
        (await machine().shell(`cd /sys/bus/pci/devices; ${line}`)).trim();
      expect(told).toEqual({
        list: (await shell('ls')).split('\n').toSorted(),
        link: await shell(`readlink ${spare}/driver`),
        real: (await shell(`realpath ${spare}`)).replace('/sys/', ''),
        read: Buffer.from(`${await shell(`cat ${spare}/vendor`)}\n`),
        config: Buffer.from(await shell(`hexdump -v -e '1/1 "%02x"' ${spare}/config`), 'hex'),
      });
    });

    test('answers with the errno of the kernel', async () => {
      const codes = await machine().run(async ({ openLinuxHost, shell, code }) => {
        await shell('[ -e /dev/nobody ] || mknod /dev/nobody c 231 250');
        const host = await openLinuxHost();
        const { sysfs } = host;
        const zero = await host.openDevice('/dev/zero', 'none');
        return {
          'read of nothing': code(sysfs.read('bus/pci/devices/ffff:00:00.0/vendor')),
          'list of a file': code(sysfs.list('kernel/uevent_seqnum')),
          'link that is none': code(sysfs.link('kernel')),
          'read of what can only be written': code(await sysfs.readSlow('bus/pci/rescan', 'none')),
          'open of nothing': code(await host.openDevice('/dev/infiniband/uverbs99', 'none')),
          'open without a driver': code(await host.openDevice('/dev/nobody', 'none')),
          'ioctl that nobody knows': code('ioctl' in zero ? await zero.ioctl(0xc0181b01, Buffer.alloc(24), []) : zero),
        };
      }, []);
      expect(codes).toEqual({
        'read of nothing': 'ENOENT',
        'list of a file': 'ENOTDIR',
        'link that is none': 'EINVAL',
        'read of what can only be written': 'EACCES',
        'open of nothing': 'ENOENT',
        'open without a driver': 'ENXIO',
        'ioctl that nobody knows': 'ENOTTY',
      });
    });

    test('makes a DMABUF over ordinary memory, and leaves nothing open', async () => {
      const { info, left } = await machine().run(async ({ openLinuxHost, fs, code }) => {
        const host = await openLinuxHost();
        const open = (): number => fs.readdirSync('/proc/self/fd').length;
        const before = open();
        const dmabuf = await host.dmabuf(65536);
        if (!('fd' in dmabuf)) throw new Error(code(dmabuf));
        const about = {
          link: fs.readlinkSync(`/proc/self/fd/${dmabuf.fd}`),
          exporter: /^exp_name:\s*(.*)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${dmabuf.fd}`, 'utf8'))?.[1],
        };
        await dmabuf.close();
        const unaligned = code(await host.dmabuf(5000));
        return { info: { ...about, unaligned }, left: open() - before };
      }, []);
      expect(info).toEqual({ link: '/dmabuf:', exporter: 'udmabuf', unaligned: 'EINVAL' });
      expect(left).toBe(0);
    });

    test('is told of a driver that leaves and comes back', async () => {
      const events = await machine().run(
        async ({ openLinuxHost, fs, UeventListener }, address) => {
          const listener = new UeventListener(await openLinuxHost(), ({ env }) => env['PCI_SLOT_NAME'] === address);
          const driver = fs.realpathSync(`/sys/bus/pci/devices/${address}/driver`);
          fs.writeFileSync(`${driver}/unbind`, address);
          fs.writeFileSync(`${driver}/bind`, address);
          return listener.take(2);
        },
        [spare],
      );
      const keys = [
        'ACTION',
        'DEVPATH',
        'PCI_CLASS',
        'PCI_ID',
        'PCI_SLOT_NAME',
        'PCI_SUBSYS_ID',
        'SEQNUM',
        'SUBSYSTEM',
      ];
      expect(events.map(({ action, env }) => [action, Object.keys(env).toSorted()])).toEqual([
        ['unbind', keys],
        ['bind', [...keys, 'DRIVER', 'MODALIAS'].toSorted()],
      ]);
      expect(events[1]?.env).toMatchObject({ DRIVER: 'virtio-pci', SUBSYSTEM: 'pci', PCI_ID: '1AF4:1005' });
    });

    test('is told that uevents were lost when more came than the socket holds', async () => {
      const kinds = await machine().run(async ({ openLinuxHost, fs }) => {
        const host = await openLinuxHost();
        const listening = new AbortController();
        const seen = new Set<string>();
        const uevents = host.uevents(listening.signal)[Symbol.asyncIterator]();
        const first = uevents.next(); // from here on the kernel keeps them
        for (let count = 0; count < 5_000; count++) fs.writeFileSync('/sys/class/mem/null/uevent', 'change');
        for (let next = await first; seen.size < 2; next = await uevents.next()) seen.add(next.value.kind);
        listening.abort();
        return [...seen].toSorted();
      }, []);
      expect(kinds).toEqual(['event', 'gap']);
    });

    test('ends listening when it is told to', async () => {
      const elements = await machine().run(async ({ openLinuxHost }) => {
        const host = await openLinuxHost();
        const listening = new AbortController();
        const uevents = host.uevents(listening.signal)[Symbol.asyncIterator]();
        const next = uevents.next();
        listening.abort();
        return (await next).done;
      }, []);
      expect(elements).toBe(true);
    });
  });
}
