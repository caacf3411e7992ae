// The real host against this machine's own kernel. What hangs, hangs in a process of its own: to read a pipe that nobody writes to blocks as a wedged
// device does, and to open it does not as long as somebody holds it open.
import { execFile, execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Observer } from '../path/observe.ts';
import { listFunctions } from '../pci/functions.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { materialise } from '../virtual/materialise.ts';
import type { Host, Uevent } from './host.ts';
import { Errno, refused } from './host.ts';
import { openLinuxHost } from './linux.ts';
import { parseUevent } from './uevents.ts';

const VERBS_IOCTL = 0xc0181b01;
const directory = mkdtempSync(join(tmpdir(), 'data-direct-host-'));
let host: Host;

beforeAll(async () => {
  host = await openLinuxHost();
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe('files of a node', () => {
  it('are listed, read and followed below their root', async () => {
    const root = join(directory, 'sys');
    mkdirSync(join(root, 'devices/one'), { recursive: true });
    mkdirSync(join(root, 'bus'));
    writeFileSync(join(root, 'devices/one/vpd'), Buffer.of(0x82, 0xff));
    symlinkSync('../devices/one', join(root, 'bus/first'));
    const { sysfs } = await openLinuxHost({ sysfsRoot: root });
    expect(sysfs.list('bus')).toEqual(['first']);
    expect(sysfs.link('bus/first')).toBe('../devices/one');
    expect(sysfs.real('bus/first')).toBe('devices/one');
    expect(sysfs.read('bus/first/vpd')).toEqual(Buffer.of(0x82, 0xff));
    expect(await sysfs.readSlow('bus/first/vpd', '0000:00:00.0')).toEqual(Buffer.of(0x82, 0xff));
  });

  it('that are absent, or lead out of the root, are an errno', async () => {
    const root = join(directory, 'small');
    mkdirSync(root);
    symlinkSync('/etc', join(root, 'out'));
    const { sysfs } = await openLinuxHost({ sysfsRoot: root });
    expect(sysfs.read('nothing')).toMatchObject({ code: 'ENOENT', number: 2, what: 'nothing' });
    expect(sysfs.list('nothing')).toMatchObject({ code: 'ENOENT' });
    expect(sysfs.link('.')).toMatchObject({ code: 'EINVAL' });
    expect(sysfs.real('out')).toMatchObject({ code: 'EXDEV' });
    expect(await sysfs.readSlow('nothing', '0000:00:00.0')).toMatchObject({ code: 'ENOENT' });
  });

  it('that do not end are an errno', async () => {
    const devices = await openLinuxHost({ sysfsRoot: '/dev' });
    expect(devices.sysfs.read('zero')).toMatchObject({ code: 'EFBIG', number: 27, what: 'zero' });
  });

  it('need not be there at all', async () => {
    const { proc } = await openLinuxHost({ procRoot: join(directory, 'no-proc') });
    expect(proc.read('net/route')).toMatchObject({ code: 'ENOENT' });
  });

  it('are read to their end, also where the kernel gives them line by line', async () => {
    const { proc } = await openLinuxHost({ procRoot: '/proc' });
    const whole = readFileSync('/proc/crypto');
    expect(whole.length).toBeGreaterThan(8192);
    expect(proc.read('crypto')).toEqual(whole);
  });

  it('of a tray on disk show the same functions as the tray in memory', async () => {
    const tray = createVirtualHost(await loadFixture('gb300-tray'));
    const root = join(directory, 'tray');
    await materialise(tray.sysfsTree, root);
    const onDisk = await openLinuxHost({ sysfsRoot: root, procRoot: directory, devRoot: directory });
    expect(listFunctions(onDisk.sysfs)).toEqual(listFunctions(tray.sysfs));
    const reasons = (await new Observer(onDisk).round()).map(({ reason, dma }) => [reason, dma?.address]);
    // Its device nodes are not on disk, so only the VPD speaks.
    expect(reasons).toEqual([
      ['VerbsNodeMissing', '0009:03:00.0'],
      ['VerbsNodeMissing', '0008:03:00.0'],
      ['VerbsNodeMissing', '0019:03:00.0'],
      ['VerbsNodeMissing', '0018:03:00.0'],
      ['NoDmaFunction', undefined],
    ]);
  });

  it('show this machine’s own /sys', () => {
    expect(host.sysfs.list('class')).toContain('mem');
    expect(host.sysfs.real('class/mem/null')).toBe('devices/virtual/mem/null');
  });
});

describe('a device node', () => {
  it('answers an ioctl with the kernel’s own errno', async () => {
    const device = await host.openDevice('/dev/null', '0000:00:00.0');
    if (refused(device)) throw new Error(device.code);
    expect(await device.ioctl(VERBS_IOCTL, Buffer.alloc(24), [])).toEqual(new Errno('ENOTTY', 25, 'ioctl'));
    await device.close();
    expect(await device.ioctl(VERBS_IOCTL, Buffer.alloc(24), [])).toMatchObject({ code: 'EBADF' });
  });

  it('that is not there is ENOENT', async () => {
    expect(await host.openDevice('/dev/infiniband/uverbs999', 'x')).toMatchObject({
      code: 'ENOENT',
      what: '/dev/infiniband/uverbs999',
    });
  });

  it('is looked for below the root given', async () => {
    const rooted = await openLinuxHost({ devRoot: join(directory, 'dev') });
    mkdirSync(join(directory, 'dev/infiniband'), { recursive: true });
    writeFileSync(join(directory, 'dev/infiniband/uverbs0'), '');
    const device = await rooted.openDevice('/dev/infiniband/uverbs0', 'x');
    if (refused(device)) throw new Error(device.code);
    expect(await device.ioctl(VERBS_IOCTL, Buffer.alloc(24), [])).toMatchObject({ code: 'ENOTTY' });
    await device.close();
  });
});

describe('the machine', () => {
  it('tells its page size and kernel itself', () => {
    expect(host.pageSize).toBe(Number(execFileSync('getconf', ['PAGE_SIZE'], { encoding: 'utf8', timeout: 10_000 })));
    expect(host.kernelRelease).toBe(release());
  });

  it('has a DMABUF without GPU, or says ENODEV', async () => {
    const dmabuf = await host.dmabuf(host.pageSize);
    const told = refused(dmabuf) ? dmabuf.code : dmabuf.fd > 2;
    expect(['ENODEV', true]).toContain(told);
    if (!refused(dmabuf)) await dmabuf.close();
  });
});

describe('five devices that hang at once', () => {
  /** Eleven reads of eleven pipes; the twelfth device is well. Ends by leave(3) while all eleven still block. */
  const script = `
    import { openSync } from 'node:fs';
    import { openLinuxHost } from '${new URL('./linux.ts', import.meta.url).href}';
    import { leave } from '${new URL('./leave.ts', import.meta.url).href}';
    const [, , root] = process.argv;
    const host = await openLinuxHost({ devRoot: root, sysfsRoot: root, callBudgetMs: 200 });
    const devices = Array.from({ length: 11 }, (_, index) => 'device' + index);
    for (const name of devices) openSync(root + '/' + name, 'r+');
    const first = await Promise.all(devices.map((name) => host.sysfs.readSlow(name, name)));
    const again = await Promise.all(devices.map((name) => host.openDevice('/dev/' + name, name)));
    const well = await host.sysfs.readSlow('well', 'well');
    const codes = (answers) => [...new Set(answers.map((answer) => answer.code))];
    process.stdout.write(JSON.stringify({ first: codes(first), again: codes(again), well: well.toString() }), () => leave(3));
  `;

  it('hold up neither another device nor the end of the process', async () => {
    const root = join(directory, 'wedged');
    mkdirSync(root);
    for (let index = 0; index < 11; index++)
      execFileSync('/usr/bin/mkfifo', [join(root, `device${index}`)], { timeout: 10_000 });
    writeFileSync(join(root, 'well'), 'answers');
    const file = join(directory, 'wedged.mts');
    writeFileSync(file, script);
    const ended = promisify(execFile)(process.execPath, ['--conditions=@data-direct/source', file, root], {
      timeout: 15_000,
      killSignal: 'SIGKILL',
    });
    await expect(ended).rejects.toMatchObject({
      code: 3,
      stdout: JSON.stringify({ first: ['ETIMEDOUT'], again: ['EBUSY'], well: 'answers' }),
    });
  });
});

describe('uevents', () => {
  it('are read as the kernel writes them', () => {
    const message = [
      'unbind@/devices/pci0009:00/0009:00:00.0/0009:03:00.0',
      'ACTION=unbind',
      'SUBSYSTEM=pci',
      'PCI_ID=15B3:2100',
      'NAME="a=b"',
      '',
    ].join('\0');
    expect(parseUevent(Buffer.from(message))).toEqual({
      kind: 'event',
      action: 'unbind',
      devpath: '/devices/pci0009:00/0009:00:00.0/0009:03:00.0',
      env: { ACTION: 'unbind', SUBSYSTEM: 'pci', PCI_ID: '15B3:2100', NAME: '"a=b"' },
    });
  });

  it.each(['', 'libudev\0\0\0', 'no header'])('that are none (%j) are passed over', (message) => {
    expect(parseUevent(Buffer.from(message))).toBeUndefined();
  });

  it('end at once when nobody wants them any more', async () => {
    const stop = new AbortController();
    const events = host.uevents(stop.signal)[Symbol.asyncIterator]();
    const rest = (async () => {
      while ((await events.next()).done !== true);
    })();
    stop.abort();
    await expect(rest).resolves.toBeUndefined();
  });

  // With CI=true it runs wherever it is, so that nobody takes a machine that cannot do it for one that did.
  it.skipIf(!mayTrigger() && process.env['CI'] !== 'true')(
    'come from the kernel (needs root to trigger one)',
    async () => {
      const stop = new AbortController();
      const events = host.uevents(stop.signal)[Symbol.asyncIterator]();
      const first = wanted(events);
      writeFileSync('/sys/class/mem/null/uevent', 'change');
      expect(await first).toMatchObject({
        action: 'change',
        devpath: '/devices/virtual/mem/null',
        env: { SUBSYSTEM: 'mem', DEVNAME: 'null' },
      });
      stop.abort();
      await events.next();
    },
  );
});

/** Other events of the machine may come between. */
async function wanted(events: AsyncIterator<Uevent>): Promise<Uevent> {
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) throw new Error('no more events');
    if (value.kind === 'event' && value.devpath === '/devices/virtual/mem/null') return value;
  }
}

function mayTrigger(): boolean {
  try {
    accessSync('/sys/class/mem/null/uevent', constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
