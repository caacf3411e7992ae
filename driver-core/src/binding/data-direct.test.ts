// An application on the virtual tray: what it is told is held against the memory keys that the virtual kernel keeps.
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import type { Dmabuf, Host, Uevent } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { MemoryRegion } from '../verbs/memory-region.ts';
import type { Change } from '../virtual/changes.ts';
import { applyChange } from '../virtual/changes.ts';
import { VirtualError } from '../virtual/errors.ts';
import { ManualClock } from '../virtual/clock.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import type { OpenPd } from './data-direct.ts';
import { DataDirect } from './data-direct.ts';
import { DataDirectError } from './errors.ts';
import { RegistrationError } from '../verbs/registration.ts';
import { withDoors } from '../host/with-doors.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';
const NEIGHBOUR = '0002:03:00.0';
const NEIGHBOURS_DMA = '0008:03:00.0';
const PAGE = 65_536;

let clock: ManualClock;
let host: VirtualHost;
let dataDirect: DataDirect;
let memory: Dmabuf;

beforeEach(async () => {
  clock = new ManualClock();
  host = createVirtualHost(await loadFixture('gb300-tray'), { clock });
  dataDirect = new DataDirect(host);
  memory = await dmabuf(host);
});

async function dmabuf(on: VirtualHost): Promise<Dmabuf> {
  const made = await on.dmabuf(4 * PAGE);
  if (refused(made)) throw new Error(made.code);
  return made;
}

const change = (...words: string[]): void => applyChange(host, words);

async function pdOn(name: string): Promise<OpenPd> {
  return (await dataDirect.openNic(name)).allocPd();
}

/** What an RDMA operation with the region's rkey ends in, as the virtual kernel knows it. */
function reach(nic: string, region: MemoryRegion, on = host): string {
  const device = on.kernel.rdmaDeviceOf(on.kernel.hardware.get(nic)!);
  return device?.mkeys.reach(region.rkey) ?? 'no such device';
}

async function refusal(promise: Promise<unknown>): Promise<DataDirectError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof DataDirectError) return error;
  throw error instanceof Error ? error : new Error('it succeeded');
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 400; turn++) await Promise.resolve();
}

describe('opening a NIC', () => {
  it('works by RDMA device and by PCI address, and shows its DMA function', async () => {
    const [byName, byAddress] = [await dataDirect.openNic('mlx5_0'), await dataDirect.openNic(NIC)];
    expect([byName.address, byName.dma, byAddress.dma]).toEqual([NIC, DMA, DMA]);
    await byName.close();
    await byAddress.close();
  });

  it('that is not there names those that are', async () => {
    const { code, message } = await refusal(dataDirect.openNic('mlx5_9'));
    expect(code).toBe('NIC_UNKNOWN');
    expect(message).toBe('no NIC "mlx5_9"; there are mlx5_0, mlx5_1, mlx5_2, mlx5_3, mlx5_4');
  });

  it('without uverbs node, or against the kernel’s will, says what to do', async () => {
    change('hide-uverbs', NIC);
    expect(await refusal(dataDirect.openNic('mlx5_0'))).toMatchObject({ code: 'NIC_WITHOUT_VERBS' });
    change('show-uverbs', NIC);
    change('refuse', NIC, 'open', 'EACCES');
    const kept = await refusal(dataDirect.openNic('mlx5_0'));
    expect(kept).toMatchObject({ code: 'KERNEL_REFUSED', call: 'open', errno: 'EACCES' });
    expect(kept.message).toContain('the mode of the device node keeps this process out');
  });
});

describe('a registered region', () => {
  it('is reached through the DMA function until that loses its driver, and then is told revoked with what to do', async () => {
    const region = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: 2 * PAGE });
    expect([region.state, reach(NIC, region)]).toEqual(['live', 'memory']);
    change('unbind', DMA);
    await dataDirect.look();
    expect([region.state, reach(NIC, region)]).toEqual(['revoked', 'remote access error']);
    expect(region.revoked.reason).toMatchObject({ code: 'DMA_FUNCTION_UNBOUND' });
    expect(String(region.revoked.reason)).toContain(`DMA function ${DMA} of NIC ${NIC}`);
    expect(await region.deregister()).toBe(0);
  });

  it('of an SF is its own: it goes with the SF, with its PF and with the DMA function, and not with its neighbours', async () => {
    const machine = createVirtualHost(await loadFixture('sub-functions'), { clock });
    const application = new DataDirect(machine);
    const buffer = await dmabuf(machine);
    const [sf, other] = ['0000:03:00.0/sf88', '0010:03:00.0/sf88'];
    const registered = async (name: string): Promise<MemoryRegion> => {
      const nic = await application.openNic(name);
      return (await nic.allocPd()).register({ fd: buffer.fd, length: PAGE });
    };
    const states = async (step: Change, ...regions: readonly MemoryRegion[]): Promise<string[]> => {
      applyChange(machine, step);
      await application.look();
      return regions.map(({ state }) => state);
    };
    const [ofPf, ofSf, ofOther] = [await registered('mlx5_0'), await registered(sf), await registered(other)];
    expect(await states(['unbind', sf], ofPf, ofSf, ofOther)).toEqual(['live', 'revoked', 'live']);
    expect(String(ofSf.revoked.reason)).toContain(`NIC ${sf} lost its driver`);
    expect([reach(NIC, ofPf, machine), reach(other, ofOther, machine)]).toEqual(['memory', 'memory']);

    await states(['bind', sf]);
    const again = await registered('mlx5_2');
    expect(await states(['unbind', DMA], ofPf, again, ofOther)).toEqual(['revoked', 'revoked', 'live']);
    expect(reach(sf, again, machine)).toBe('remote access error');
    expect(await states(['unbind', '0010:03:00.0'], ofOther)).toEqual(['revoked']);
  });

  it('of another NIC is not touched', async () => {
    const own = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: PAGE });
    const other = await (await pdOn('mlx5_1')).register({ fd: memory.fd, length: PAGE });
    change('unbind', NEIGHBOURS_DMA);
    await dataDirect.look();
    expect([own.state, other.state]).toEqual(['live', 'revoked']);
    expect([reach(NIC, own), reach(NEIGHBOUR, other)]).toEqual(['memory', 'remote access error']);
  });

  it('is told revoked also when its DMA function is back before anybody looks', async () => {
    const pd = await pdOn('mlx5_0');
    const region = await pd.register({ fd: memory.fd, length: PAGE });
    change('unbind', DMA);
    change('bind', DMA);
    await dataDirect.look();
    expect([region.state, reach(NIC, region)]).toEqual(['revoked', 'remote access error']);
    const anew = await pd.register({ fd: memory.fd, length: PAGE });
    await dataDirect.look();
    expect([anew.state, reach(NIC, anew)]).toEqual(['live', 'memory']);
  });

  it('is told revoked when its NIC loses the driver', async () => {
    const region = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: PAGE });
    change('unbind', NIC);
    change('bind', NIC);
    await dataDirect.look();
    expect(region.state).toBe('revoked');
    expect(String(region.revoked.reason)).toContain(`NIC ${NIC} lost its driver`);
  });

  it('that was deregistered is told nothing', async () => {
    const region = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: PAGE });
    await region.deregister();
    change('unbind', DMA);
    await dataDirect.look();
    expect([region.state, region.revoked.aborted]).toEqual(['deregistered', false]);
  });
});

describe('a registration that fails', () => {
  it('says what to change where the request is wrong', async () => {
    const pd = await pdOn('mlx5_0');
    await expect(pd.register({ fd: memory.fd, length: PAGE, iova: 4096 })).rejects.toBeInstanceOf(RegistrationError);
  });

  it('says that the iommu groups differ where the GPU’s driver refuses', async () => {
    change('regroup', DMA, '99');
    const gpu = await host.gpuDmabuf('0009:06:00.0', PAGE);
    const fd = refused(gpu) ? -1 : gpu.fd;
    const error = await refusal((await pdOn('mlx5_0')).register({ fd, length: PAGE }));
    expect(error).toMatchObject({ code: 'KERNEL_REFUSED', call: 'REG_DMABUF_MR', errno: 'ENOTSUPP' });
    expect(error.message).toContain('iommu groups differ');
  });

  it('says that there is no DMA function', async () => {
    const nic = await dataDirect.openNic('mlx5_0');
    const pd = await nic.allocPd();
    change('unbind', DMA);
    const error = await refusal(pd.register({ fd: memory.fd, length: PAGE }));
    expect(error).toMatchObject({ code: 'KERNEL_REFUSED', errno: 'EINVAL' });
    expect(error.message).toContain('no DMA function bound');
    expect(nic.dma).toBeUndefined();
  });

  it('says that the NIC is gone', async () => {
    const pd = await pdOn('mlx5_0');
    change('unbind', NIC);
    expect(await refusal(pd.register({ fd: memory.fd, length: PAGE }))).toMatchObject({ errno: 'EIO' });
  });

  it('leaves its protection domain to be freed, and one in use says so', async () => {
    const pd = await pdOn('mlx5_0');
    const region = await pd.register({ fd: memory.fd, length: PAGE });
    expect((await refusal(pd.destroy())).message).toBe(
      'PD_DESTROY on mlx5_0 answered EBUSY (16): deregister its memory regions first',
    );
    await region.deregister();
    await pd.destroy();
  });
});

/** The DMA function loses and finds its driver right after a region was registered, as long as `interrupt` says so. */
function interrupting(on: VirtualHost, interrupt: () => boolean): Host {
  const openDevice: Host['openDevice'] = async (path, device) => {
    const opened = await on.openDevice(path, device);
    if (refused(opened)) return opened;
    return {
      ioctl: async (request, bytes, pointers) => {
        const answer = await opened.ioctl(request, bytes, pointers);
        const isRegistration = bytes.readUInt16LE(2) === 7 && bytes.readUInt16LE(4) === 4;
        if (isRegistration && interrupt()) {
          applyChange(on, ['unbind', DMA]);
          applyChange(on, ['bind', DMA]);
        }
        return answer;
      },
      close: () => opened.close(),
    };
  };
  return withDoors(on, { openDevice });
}

async function* silence(signal: AbortSignal): AsyncGenerator<Uevent> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  yield* [];
}

describe('a registration into which a change of driver falls', () => {
  it('is made again, so that no dead region is taken for a live one', async () => {
    let left = 1;
    dataDirect = new DataDirect(interrupting(host, () => left-- > 0));
    const region = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: PAGE });
    expect([region.state, reach(NIC, region)]).toEqual(['live', 'memory']);
    await dataDirect.look();
    expect(region.state).toBe('live');
  });

  it('is given up where that never ends, and leaves nothing behind', async () => {
    dataDirect = new DataDirect(interrupting(host, () => true));
    const pd = await pdOn('mlx5_0');
    expect(await refusal(pd.register({ fd: memory.fd, length: PAGE }))).toMatchObject({ code: 'BINDING_UNSTABLE' });
    expect(host.kernel.rdmaDeviceOf(host.kernel.hardware.get(NIC)!)?.mkeys.count).toBe(0);
  });
});

describe('whoever follows', () => {
  it('is told of unbind and bind by the uevents, and finds regions revoked by then', async () => {
    const region = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: PAGE });
    const told: string[] = [];
    dataDirect.onBinding(({ kind, nic, dma }) => told.push(`${kind} ${nic} ${dma} ${region.state}`));
    const stop = new AbortController();
    const following = dataDirect.follow({ signal: stop.signal, debounceMs: 20 });
    await settle();
    change('unbind', DMA);
    await settle();
    clock.advance(20);
    await settle();
    change('bind', DMA);
    await settle();
    clock.advance(20);
    await settle();
    stop.abort();
    await following;
    expect(told).toEqual([`unbound ${NIC} ${DMA} revoked`, `bound ${NIC} ${DMA} revoked`]);
  });

  it('is told at the next rescan of what no event told', async () => {
    dataDirect = new DataDirect(withDoors(host, { uevents: silence }));
    const region = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: PAGE });
    const stop = new AbortController();
    const following = dataDirect.follow({ signal: stop.signal, rescanMs: 1000 });
    await settle();
    change('unbind', DMA);
    await settle();
    expect(region.state).toBe('live');
    clock.advance(1000);
    await settle();
    expect(region.state).toBe('revoked');
    stop.abort();
    await following;
  });

  it('learns that events were lost, and looks', async () => {
    const region = await (await pdOn('mlx5_0')).register({ fd: memory.fd, length: PAGE });
    const stop = new AbortController();
    const following = dataDirect.follow({ signal: stop.signal, debounceMs: 20 });
    await settle();
    applyChange(host, ['unbind', DMA], true);
    applyChange(host, ['bind', DMA], true);
    await settle();
    clock.advance(20);
    await settle();
    expect(region.state).toBe('revoked');
    stop.abort();
    await following;
  });
});

describe('whatever happens to the machine', () => {
  it('every region is known to be revoked exactly when its key is dead', async () => {
    const fixture = await loadFixture('dual-port');
    const nics = ['0000:03:00.0', '0000:03:00.1', '0010:03:00.0'];
    const dmas = ['0009:03:00.0', '0019:03:00.0'];
    const step = fc.oneof(
      fc.record({ do: fc.constant('register' as const), on: fc.constantFrom(...nics) }),
      fc.record({ do: fc.constant('look' as const) }),
      fc.record({
        do: fc.constant('change' as const),
        words: fc.tuple(
          fc.constantFrom('unbind', 'bind', 'remove', 'add'),
          fc.constantFrom(...dmas),
        ) as fc.Arbitrary<Change>,
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const machine = createVirtualHost(fixture);
        const application = new DataDirect(machine);
        const { fd } = await dmabuf(machine);
        const pds = new Map<string, OpenPd>();
        for (const nic of nics) pds.set(nic, await (await application.openNic(nic)).allocPd());
        const regions: { nic: string; region: MemoryRegion }[] = [];
        for (const one of steps) {
          if (one.do === 'look') await application.look();
          if (one.do === 'change') attempt(machine, one.words);
          if (one.do !== 'register') continue;
          const region = await pds
            .get(one.on)
            ?.register({ fd, length: PAGE })
            .catch(() => undefined);
          if (region) regions.push({ nic: one.on, region });
        }
        await application.look();
        for (const { nic, region } of regions)
          expect(region.state === 'live').toBe(reach(nic, region, machine) === 'memory');
      }),
      { numRuns: 60 },
    );
  });
});

/** A change that the machine does not take (bind what is bound) is no change. */
function attempt(machine: VirtualHost, words: Change): void {
  try {
    applyChange(machine, words);
  } catch (error) {
    if (!(error instanceof VirtualError)) throw error;
  }
}
