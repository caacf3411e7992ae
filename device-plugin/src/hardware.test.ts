// When the kernel is asked whether paths work: at the interval of the policy, at events, and not at each rescan.
import { applyChange, createVirtualHost, loadFixture, ManualClock, withDoors } from '@data-direct/driver-core';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Hardware, strictest, type Verification } from './hardware.ts';
import { resource } from './test-support.ts';

const NIC = '0000:03:00.0';
const EVERY_10_MINUTES: Verification = { level: 'Probe', intervalMs: 600_000 };
const MINUTE = 60_000;
let clock: ManualClock;
let host: ReturnType<typeof createVirtualHost>;
let hardware: Hardware;
/** NICs whose uverbs node was opened. */
let asked: string[];

beforeEach(async () => {
  clock = new ManualClock();
  host = createVirtualHost(await loadFixture('gb300-tray'), { clock });
  asked = [];
  const counting = withDoors(host, {
    openDevice: (path, device) => {
      asked.push(device);
      return host.openDevice(path, device);
    },
  });
  hardware = new Hardware(counting, { debounceMs: 50, rescanMs: 30_000, portPollMs: 5000 });
});
afterEach(() => host.close());

async function round(verification = EVERY_10_MINUTES): Promise<string[]> {
  asked = [];
  await hardware.observe(verification);
  return asked.toSorted();
}

test('the first round asks about every path, those of the next minutes about none', async () => {
  expect(await round()).toEqual([NIC, '0002:03:00.0', '0010:03:00.0', '0012:03:00.0']);
  clock.advance(8 * MINUTE);
  expect(await round()).toEqual([]);
});

test('when the interval is over a round is due, and asks about every path again', async () => {
  await round();
  const stop = new AbortController();
  let isDue = false;
  const due = hardware.due(stop.signal).then(() => (isDue = true));
  for (let minute = 0; minute < 8; minute++) await pass(MINUTE);
  expect(isDue).toBe(false);
  for (let minute = 8; minute < 12; minute++) await pass(MINUTE);
  await due;
  expect(await round()).toHaveLength(4);
});

test('a policy with a shorter interval is followed at once', async () => {
  await round();
  clock.advance(MINUTE);
  expect(await round({ level: 'Probe', intervalMs: 10_000 })).toHaveLength(4);
});

test('a path that is refused is asked about in every round until it is well', async () => {
  applyChange(host, ['refuse', NIC, 'register', 'EOPNOTSUPP']);
  await round();
  expect(await round()).toEqual([NIC]);
  applyChange(host, ['allow', NIC]);
  expect(await round()).toEqual([NIC]);
  expect(await round()).toEqual([]);
});

test('a verification asks about the NICs it names and no others', async () => {
  await round({ level: 'Registration', intervalMs: 600_000 });
  asked = [];
  applyChange(host, ['refuse', NIC, 'register', 'EOPNOTSUPP']);
  const paths = await hardware.verify([NIC], 'Registration');
  expect(asked).toEqual([NIC]);
  expect(paths.find(({ id }) => id === NIC)?.reason).toBe('RegistrationFailed');
});

test('an SF is no path to be handed out, neither in a round nor in a verification, and its PF is', async () => {
  const machine = createVirtualHost(await loadFixture('sub-functions'), { clock });
  const cut = new Hardware(machine, { debounceMs: 50, rescanMs: 30_000, portPollMs: 5000 });
  const own = ['0000:03:00.0', '0010:03:00.0'];
  expect((await cut.observe(EVERY_10_MINUTES)).map(({ id }) => id)).toEqual(own);
  expect((await cut.verify(own, 'Registration')).map(({ id, nic }) => [id, nic.uverbs])).toEqual([
    [own[0], 'uverbs0'],
    [own[1], 'uverbs1'],
  ]);
  expect(cut.notes).toHaveLength(4);
  expect(cut.notes[0]).toBe('SF mlx5_2 (0000:03:00.0/sf88) is not offered to containers: only PFs and VFs are');
});

test('what a round passed over is among its notes, and its paths are as they were', async () => {
  const proc = { ...host.proc, read: () => Buffer.from('Iface\tDestination\nnonsense\n') };
  const astray = new Hardware(withDoors(host, { proc, openDevice: () => host.openDevice('/', '') }), {
    debounceMs: 50,
    rescanMs: 30_000,
    portPollMs: 5000,
  });
  expect(await astray.observe(EVERY_10_MINUTES)).toHaveLength(5);
  expect(astray.notes[0]).toMatch(/^\/proc\/net\/route, byte 18: expected Iface .*, got "nonsense": passed over$/);
});

test('of several resources the strictest level and the shortest interval count for the node', () => {
  const verification = { level: 'Registration', interval: '1h' };
  expect(strictest([resource(), resource({ verification })])).toEqual({ level: 'Registration', intervalMs: 600_000 });
  expect(strictest([])).toEqual({ level: 'None', intervalMs: 3_600_000 });
});

/** Time passes, and whoever sleeps wakes and may sleep again. */
async function pass(milliseconds: number): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  clock.advance(milliseconds);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}
