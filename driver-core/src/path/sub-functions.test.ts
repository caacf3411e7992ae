// SFs on the virtual machine that has some: paths of their own beside that of their PF.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { machines } from '../../fixtures/source/machines.ts';
import { commandsFor } from '../cli/mends.ts';
import { readNode } from '../cli/node.ts';
import type { Host } from '../host/host.ts';
import { chainOf } from '../pci/address.ts';
import type { Change } from '../virtual/changes.ts';
import { applyChange } from '../virtual/changes.ts';
import { ManualClock } from '../virtual/clock.ts';
import { VirtualError } from '../virtual/errors.ts';
import { parseFixture } from '../virtual/fixture.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { follow } from './follow.ts';
import { Observer } from './observe.ts';
import type { Path } from './path.ts';

const PF = '0000:03:00.0';
const ON = '0000:03:00.0/sf88';
const OFF = '0000:03:00.0/sf89';
const DMA = '0009:03:00.0';

async function machine(clock = new ManualClock()): Promise<VirtualHost> {
  return createVirtualHost(await loadFixture('sub-functions'), { clock });
}

async function round(host: Host): Promise<ReadonlyMap<string, Path>> {
  return new Map((await new Observer(host).round()).map((path) => [path.id, path]));
}

function change(host: VirtualHost, ...changes: readonly Change[]): void {
  for (const one of changes) applyChange(host, one);
}

/** Lets everything run that needs no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

it('SFs stand behind their PF, each with its own RDMA device, node and interface, and with the model of its PF', async () => {
  const paths = await new Observer(await machine()).round({ verification: 'Registration' });
  expect(
    paths.map(({ id, nic, reason, dma, verified }) => [id, nic.rdmaDevice, nic.uverbs, reason, dma?.address, verified]),
  ).toEqual([
    [PF, 'mlx5_0', 'uverbs0', 'Paired', DMA, 'Registration'],
    [ON, 'mlx5_2', 'uverbs2', 'Paired', DMA, 'Registration'],
    [OFF, 'mlx5_3', 'uverbs3', 'FunctionDisabled', undefined, 'None'],
    ['0010:03:00.0', 'mlx5_1', 'uverbs1', 'Paired', '0019:03:00.0', 'Registration'],
    ['0010:03:00.0/sf88', 'mlx5_4', 'uverbs4', 'Paired', '0019:03:00.0', 'Registration'],
    ['0010:03:00.0/sf90', undefined, undefined, 'WaitingForDriver', '0019:03:00.0', 'None'],
  ]);
  expect(paths[1]?.nic).toMatchObject({
    address: PF,
    function: 'SF',
    subFunction: { sfnum: 88 },
    model: 'ConnectX-8',
    netdevs: ['enp3s0s88'],
    numaNode: 0,
    iommuGroup: '10',
  });
});

it('an SF that is off says so, and what to type names it as its driver and devlink know it', async () => {
  const node = await readNode(await machine(), 'Probe');
  const path = node.paths.find(({ id }) => id === OFF)!;
  const auxiliary = path.nic.subFunction?.auxiliary;
  expect(path.message).toContain(`SF mlx5_3 (${OFF}): its firmware shows capability data_direct as 0`);
  expect(commandsFor(path, node)).toEqual([
    `devlink port show | grep pci/${PF}`,
    `echo ${auxiliary} > /sys/bus/auxiliary/drivers/mlx5_core.sf/unbind`,
    `doca_data_direct_ctl set data-direct pci/${PF}/PORT -e true   # PORT of sfnum 89 as devlink shows it`,
    `echo ${auxiliary} > /sys/bus/auxiliary/drivers/mlx5_core.sf/bind`,
  ]);
});

it('an SF is paired once data direct was enabled while it had no driver', async () => {
  const host = await machine();
  change(host, ['unbind', OFF], ['vuid', OFF, 'VT2547VIRT601MLNXDATADIRECT0']);
  expect((await round(host)).get(OFF)).toMatchObject({ reason: 'WaitingForDriver' });
  change(host, ['bind', OFF]);
  expect((await round(host)).get(OFF)).toMatchObject({ reason: 'Paired', dma: { address: DMA } });
});

it('an SF whose firmware cannot be asked is known to be off by its PF, whose DMA function is bound', async () => {
  const host = await machine();
  change(host, ['refuse', OFF, 'devx', 'EPROTONOSUPPORT']);
  const path = (await round(host)).get(OFF);
  expect(path).toMatchObject({ reason: 'FunctionDisabled' });
  expect(path?.message).toContain(`${DMA} of its PF is bound: data direct is off for this SF`);
});

it('an SF that DOCA holds for configuration is told to be bound to the other driver', async () => {
  const entries = structuredClone(machines['sub-functions']) as { virtual?: { subFunctions?: object[] } }[];
  const configured = { driver: 'mlx5_core.sf_cfg', subsystems: {} };
  for (const { virtual } of entries) for (const sf of virtual?.subFunctions ?? []) Object.assign(sf, configured);
  const node = await readNode(createVirtualHost(parseFixture('configured', entries)), 'None');
  const path = node.paths.find(({ id }) => id === ON)!;
  expect(path.message).toBe(`${ON} has driver mlx5_core.sf_cfg; expected mlx5_core.sf`);
  const auxiliary = path.nic.subFunction?.auxiliary;
  expect(commandsFor(path, node)).toEqual([
    `echo ${auxiliary} > /sys/bus/auxiliary/drivers/mlx5_core.sf_cfg/unbind`,
    `echo ${auxiliary} > /sys/bus/auxiliary/drivers/mlx5_core.sf/bind`,
  ]);
});

it('the port and the driver of an SF are its own', async () => {
  const host = await machine();
  change(host, ['port-down', ON], ['unbind', OFF]);
  const seen = await round(host);
  expect([PF, ON, OFF].map((id) => seen.get(id)?.reason)).toEqual(['Paired', 'PortDown', 'WaitingForDriver']);

  change(host, ['port-up', ON], ['port-down', PF]);
  const later = await round(host);
  expect([PF, ON].map((id) => later.get(id)?.reason)).toEqual(['PortDown', 'Paired']);
});

it('an SF that hangs holds up itself and not its PF', async () => {
  const clock = new ManualClock();
  const host = await machine(clock);
  change(host, ['wedge', ON]);
  const seen = round(host);
  for (let second = 0; second < 20; second++) {
    await settle();
    clock.advance(1000);
  }
  const reasons = await seen;
  expect([PF, ON, OFF].map((id) => reasons.get(id)?.reason)).toEqual([
    'Paired',
    'DeviceUnresponsive',
    'FunctionDisabled',
  ]);
});

it('SFs go with the driver of their PF', async () => {
  const host = await machine();
  change(host, ['unbind', PF]);
  const seen = await round(host);
  expect([...seen.keys()]).toEqual([PF, '0010:03:00.0', '0010:03:00.0/sf88', '0010:03:00.0/sf90']);
});

it('an SF whose number cannot be read goes by its name on the auxiliary bus', async () => {
  const host = await machine();
  const [first = ''] = host.sysfs.list('bus/auxiliary/devices') as string[];
  const path = host.sysfs.real(`bus/auxiliary/devices/${first}`) as string;
  host.sysfsTree.directory(path).entries.delete('sfnum');
  const seen = await round(host);
  expect(seen.get(`${PF}/${first}`)).toMatchObject({ name: 'mlx5_2', reason: 'Paired' });
  expect(seen.has(ON)).toBe(false);
});

/** At rest ports are looked at less often. */
const MOST_POLLS = 6;

it('that the port of an SF went down is noticed by a poll', async () => {
  const clock = new ManualClock();
  const host = await machine(clock);
  const stop = new AbortController();
  const triggers = follow(host, { debounceMs: 100, rescanMs: 300_000, portPollMs: 5000, signal: stop.signal });
  await triggers.next();
  const next = triggers.next();
  await settle();
  change(host, ['port-down', ON]);
  for (let poll = 0; poll < MOST_POLLS; poll++) {
    clock.advance(5000);
    await settle();
  }
  clock.advance(100);
  expect((await next).value).toEqual({ kind: 'ports', functions: [PF] });
  await triggers.return(undefined);
});

const STEPS: readonly Change[] = [PF, ON, OFF, DMA].flatMap((address): Change[] => [
  ['unbind', address],
  ['bind', address],
  ['remove', address],
  ['add', address],
]);

it('a round that events asked for sees of SFs what a round sees that knows nothing yet', async () => {
  const steps = fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(steps, async (changes) => {
      const host = await machine();
      const stop = new AbortController();
      const told: string[] = [];
      const events = host.uevents(stop.signal);
      void (async () => {
        for await (const event of events) if (event.kind === 'event') told.push(...chainOf(event.devpath).slice(-1));
      })();
      const kept = new Observer(host);
      await kept.round();
      for (const step of changes) {
        try {
          change(host, step);
        } catch (error) {
          if (!(error instanceof VirtualError)) throw error;
        }
        await settle();
        const functions = told.splice(0);
        expect(await kept.round({ trigger: { kind: 'uevents', functions } })).toEqual(await new Observer(host).round());
      }
      stop.abort();
    }),
    { numRuns: 40 },
  );
});
