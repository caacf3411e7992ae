import { queryObjects } from 'node:v8';
import { describe, expect, it } from 'vitest';

import { type Host, refused, type Uevent } from '../host/host.ts';
import { withDoors } from '../host/with-doors.ts';
import { applyChange } from '../virtual/changes.ts';
import { ManualClock } from '../virtual/clock.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import type { Trigger } from './follow.ts';
import { follow } from './follow.ts';

const DEBOUNCE = 100;
const RESCAN = 300_000;
const PORT_POLL = 5000;
const MINUTE = 60_000;
/** In which a port's fall becomes known where nothing has happened for a while. */
const AT_REST = 6 * PORT_POLL;
/** The one timer that runs all the time. */
const PORT_TIMER = 1;
/** How long a device that hangs is waited for. */
const BUDGET = 2000;

const OPTIONS = { debounceMs: DEBOUNCE, rescanMs: RESCAN, portPollMs: PORT_POLL };

async function following() {
  const clock = new ManualClock();
  const host = createVirtualHost(await loadFixture('gb300-tray'), { clock });
  const stop = new AbortController();
  const triggers = follow(host, { ...OPTIONS, signal: stop.signal });
  expect(await next(triggers)).toEqual({ kind: 'start' });
  return { host, clock, stop, triggers };
}

async function next(triggers: AsyncGenerator<Trigger>): Promise<Trigger | undefined> {
  const { value, done } = await triggers.next();
  return done === true ? undefined : value;
}

/** Lets everything run that needs no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** Those that somebody still holds. */
function promises(): number {
  return queryObjects(Promise, { format: 'count' });
}

/** A socket that fails after its first message. */
async function* deaf(): AsyncGenerator<Uevent> {
  yield { kind: 'event', action: 'add', devpath: '/devices/virtual/mem/null', env: { SUBSYSTEM: 'mem' } };
  throw new Error('recvfrom answered EBADF');
}

describe('following a node', () => {
  it('asks for one round after a burst of events, and names the functions', async () => {
    const { host, clock, triggers } = await following();
    const trigger = next(triggers);
    applyChange(host, ['unbind', '0009:03:00.0']);
    applyChange(host, ['bind', '0009:03:00.0']);
    applyChange(host, ['unbind', '0008:03:00.0']);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await trigger).toEqual({ kind: 'uevents', functions: ['0009:03:00.0', '0008:03:00.0'] });
    await triggers.return(undefined);
  });

  it('does not miss what happens while the caller does its round', async () => {
    const { host, clock, triggers } = await following();
    applyChange(host, ['unbind', '0009:03:00.0']);
    await settle();
    const trigger = next(triggers);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await trigger).toEqual({ kind: 'uevents', functions: ['0009:03:00.0'] });
    await triggers.return(undefined);
  });

  it('asks for everything anew when events were lost', async () => {
    const { host, clock, triggers } = await following();
    const trigger = next(triggers);
    applyChange(host, ['unbind', '0009:03:00.0'], true);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await trigger).toEqual({ kind: 'gap' });
    await triggers.return(undefined);
  });

  it('notices within thirty seconds that a port went down, although the kernel says nothing', async () => {
    const { host, clock, triggers } = await following();
    const trigger = next(triggers);
    await settle();
    applyChange(host, ['port-down', '0000:03:00.0']);
    clock.advance(AT_REST);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await trigger).toEqual({ kind: 'ports', functions: ['0000:03:00.0'] });
    await triggers.return(undefined);
  });

  it('notices a port that comes back, and one that falls again, within five seconds', async () => {
    const { host, clock, triggers } = await following();
    for (const [change, wait] of [
      ['port-down', AT_REST],
      ['port-up', PORT_POLL],
      ['port-down', PORT_POLL],
    ] as const) {
      const trigger = next(triggers);
      await settle();
      applyChange(host, [change, '0000:03:00.0']);
      clock.advance(wait);
      await settle();
      clock.advance(DEBOUNCE);
      expect(await trigger).toEqual({ kind: 'ports', functions: ['0000:03:00.0'] });
    }
    await triggers.return(undefined);
  });

  it('reads every port twice a minute, twelve times after a change, and twice again when five minutes were quiet', async () => {
    const { host, clock } = await following();
    let reads = 0;
    const readSlow: Host['sysfs']['readSlow'] = (path, device) => {
      reads += 1;
      return host.sysfs.readSlow(path, device);
    };
    const counting = withDoors(host, { sysfs: { ...host.sysfs, readSlow } });
    const stop = new AbortController();
    const triggers = follow(counting, { ...OPTIONS, rescanMs: 60 * MINUTE, signal: stop.signal });
    await next(triggers);
    const ports = reads;
    const pass = async (milliseconds: number): Promise<number> => {
      reads = 0;
      for (let passed = 0; passed < milliseconds; passed += PORT_POLL) {
        await settle();
        clock.advance(PORT_POLL);
      }
      await settle();
      return reads / ports;
    };
    const changed = next(triggers);
    expect(await pass(MINUTE)).toBe(2);
    applyChange(host, ['unbind', '0009:03:00.0']);
    await settle();
    clock.advance(DEBOUNCE);
    await changed;
    const nothing = next(triggers);
    expect(await pass(MINUTE)).toBe(12);
    await pass(5 * MINUTE);
    expect(await pass(MINUTE)).toBe(2);
    stop.abort();
    expect(await nothing).toBeUndefined();
  });

  it('notices that a port went down while another device hangs', async () => {
    const { host, clock, triggers } = await following();
    applyChange(host, ['wedge', '0002:03:00.0']);
    const trigger = next(triggers);
    await settle();
    applyChange(host, ['port-down', '0000:03:00.0']);
    clock.advance(AT_REST);
    await settle();
    clock.advance(BUDGET);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await trigger).toEqual({ kind: 'ports', functions: ['0000:03:00.0', '0002:03:00.0'] });
    await triggers.return(undefined);
  });

  it('notices within five seconds that a port came up which was still down at the start', async () => {
    const clock = new ManualClock();
    const host = createVirtualHost(await loadFixture('gb300-tray'), { clock });
    applyChange(host, ['port-down', '0000:03:00.0']);
    const triggers = follow(host, { ...OPTIONS, signal: new AbortController().signal });
    expect(await next(triggers)).toEqual({ kind: 'start' });
    const trigger = next(triggers);
    await settle();
    applyChange(host, ['port-up', '0000:03:00.0']);
    clock.advance(PORT_POLL);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await trigger).toEqual({ kind: 'ports', functions: ['0000:03:00.0'] });
    await triggers.return(undefined);
  });

  it('finds the ports again when two RDMA devices have exchanged their names, and then that one of them went down', async () => {
    const { host, clock } = await following();
    const other: Readonly<Record<string, string>> = { mlx5_0: 'mlx5_1', mlx5_1: 'mlx5_0' };
    let exchanged = false;
    const swapped = (path: string): string => {
      const last = path.lastIndexOf('mlx5_');
      const name = path.slice(last, last + 'mlx5_0'.length);
      return exchanged ? path.slice(0, last) + (other[name] ?? name) + path.slice(last + name.length) : path;
    };
    const sysfs: Host['sysfs'] = {
      ...host.sysfs,
      link: (path) => {
        const target = host.sysfs.link(swapped(path));
        return refused(target) ? target : swapped(target);
      },
      readSlow: (path, device) => host.sysfs.readSlow(swapped(path), device),
    };
    const renaming = withDoors(host, { sysfs });
    const triggers = follow(renaming, { ...OPTIONS, signal: new AbortController().signal });
    await next(triggers);
    const poll = async (pause: number): Promise<Trigger | undefined> => {
      const trigger = next(triggers);
      await settle();
      clock.advance(pause);
      await settle();
      clock.advance(DEBOUNCE);
      return trigger;
    };
    exchanged = true;
    const functions = ['0000:03:00.0', '0002:03:00.0'];
    expect(await poll(AT_REST)).toEqual({ kind: 'ports', functions });
    expect(await poll(PORT_POLL)).toEqual({ kind: 'ports', functions });
    applyChange(host, ['port-down', '0002:03:00.0']);
    expect(await poll(PORT_POLL)).toEqual({ kind: 'ports', functions: ['0002:03:00.0'] });
    await triggers.return(undefined);
  });

  it('notices a port that comes up a while after its driver was bound', async () => {
    const { host, clock, triggers } = await following();
    applyChange(host, ['unbind', '0000:03:00.0']);
    applyChange(host, ['port-down', '0000:03:00.0']);
    applyChange(host, ['bind', '0000:03:00.0']);
    await settle();
    const bound = next(triggers);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await bound).toMatchObject({ kind: 'uevents' });
    applyChange(host, ['port-up', '0000:03:00.0']);
    const up = next(triggers);
    for (const step of [PORT_POLL, DEBOUNCE]) {
      await settle();
      clock.advance(step);
    }
    expect(await up).toEqual({ kind: 'ports', functions: ['0000:03:00.0'] });
    await triggers.return(undefined);
  });

  it('hears that mlx5_ib was loaded anew below a NIC whose own driver stayed', async () => {
    const { host, clock } = await following();
    const reload: Uevent = {
      kind: 'event',
      action: 'bind',
      devpath: '/devices/pci0000:00/0000:00:00.0/0000:03:00.0/mlx5_core.rdma.0',
      env: { SUBSYSTEM: 'auxiliary' },
    };
    const telling = withDoors(host, {
      async *uevents() {
        yield reload;
      },
    });
    const triggers = follow(telling, { ...OPTIONS, signal: new AbortController().signal });
    expect(await next(triggers)).toEqual({ kind: 'start' });
    const trigger = next(triggers);
    await settle();
    clock.advance(DEBOUNCE);
    expect(await trigger).toEqual({ kind: 'uevents', functions: ['0000:03:00.0'] });
    await triggers.return(undefined);
  });

  it('keeps nothing of the rounds that it asked for and of the polls between them', async () => {
    const { clock, triggers } = await following();
    const rescans = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index++) {
        const trigger = next(triggers);
        for (let passed = 0; passed < RESCAN; passed += AT_REST) {
          await settle();
          clock.advance(AT_REST);
        }
        expect(await trigger).toEqual({ kind: 'rescan' });
      }
    };
    await rescans(5);
    const before = promises();
    await rescans(100);
    expect(promises() - before).toBeLessThan(50);
    await triggers.return(undefined);
  });

  it('rescans when nothing is heard, because not everything makes an event', async () => {
    const { host, clock, triggers } = await following();
    const trigger = next(triggers);
    applyChange(host, ['acs', '0009:02:00.0', '0011101']);
    await settle();
    clock.advance(RESCAN);
    expect(await trigger).toEqual({ kind: 'rescan' });
    await triggers.return(undefined);
  });

  it('keeps no timer of an earlier wait', async () => {
    const { host, clock, triggers } = await following();
    for (const change of ['unbind', 'bind', 'unbind']) {
      const trigger = next(triggers);
      applyChange(host, [change, '0009:03:00.0']);
      await settle();
      clock.advance(DEBOUNCE);
      await trigger;
    }
    expect(clock.sleepers).toBe(PORT_TIMER);
    await triggers.return(undefined);
  });

  it('ends when it is told to', async () => {
    const { clock, stop, triggers } = await following();
    const trigger = next(triggers);
    await settle();
    stop.abort();
    expect(await trigger).toBeUndefined();
    expect(clock.sleepers).toBe(0);
  });

  it('ends although a port hangs', async () => {
    const { host, clock, stop, triggers } = await following();
    applyChange(host, ['wedge', '0000:03:00.0']);
    const trigger = next(triggers);
    await settle();
    clock.advance(PORT_POLL);
    await settle();
    stop.abort();
    expect(await trigger).toBeUndefined();
  });

  it('hands on that nobody listens any more', async () => {
    const { sysfs } = createVirtualHost(await loadFixture('gb300-tray'));
    const host = { clock: new ManualClock(), sysfs, uevents: deaf } as unknown as Host;
    const triggers = follow(host, { ...OPTIONS, signal: new AbortController().signal });
    await triggers.next();
    await expect(triggers.next()).rejects.toThrow('EBADF');
  });
});
