// One process that does rounds, and says how long each took and what it asked of the host. Its /sys is files on disk, read as on a real node;
// on its uverbs nodes the virtual tray's kernel answers, because there is no other for this hardware. For bench.ts.

import { parseArgs } from 'node:util';
import { type Files, type Host, Observer, openLinuxHost, type RoundOptions, withDoors } from '@data-direct/driver-core';
import { TRAYS } from './trays.ts';

/** Of one kind of round. */
export interface Rounds {
  readonly milliseconds: readonly number[];
  /** Of processor time, on average of these rounds: what is left when others use the machine too. */
  readonly processorMs: number;
  /** Calls through the host's door, in one round. */
  readonly calls: number;
  /** Of these, the ones that reach a device: its VPD, configuration space, port state, and every open and ioctl. */
  readonly reaching: number;
}

export const KINDS = ['from nothing', 'rescan, kernel asked', 'rescan', 'nothing changed'] as const;
export type Kind = (typeof KINDS)[number];
export type Report = Readonly<Record<Kind, Rounds>>;

const OPTIONS: Readonly<Record<Kind, RoundOptions>> = {
  'from nothing': {},
  'rescan, kernel asked': { trigger: { kind: 'rescan' } },
  rescan: { trigger: { kind: 'rescan' }, reverify: false },
  'nothing changed': { trigger: { kind: 'uevents', functions: [] } },
};

interface Count {
  calls: number;
  reaching: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sysfs: { type: 'string' },
      tray: { type: 'string', default: '0' },
      rounds: { type: 'string', default: '200' },
      /** Without warming up, and without a word: to have its system calls counted. */
      only: { type: 'string' },
    },
  });
  const kernel = TRAYS[Number(values.tray)]?.host();
  if (!kernel || values.sysfs === undefined) throw new Error('rounds.ts --tray N --sysfs DIRECTORY');
  const { sysfs, proc, clock } = await openLinuxHost({ sysfsRoot: values.sysfs });
  const host = withDoors(kernel, { sysfs, proc, clock });
  const rounds = Number(values.rounds);
  if (values.only !== undefined) return void (await repeat(host, values.only as Kind, rounds));
  const report: Partial<Record<Kind, Rounds>> = {};
  for (const kind of KINDS) {
    await repeat(host, kind, rounds);
    const before = process.cpuUsage();
    const milliseconds = await repeat(host, kind, rounds);
    const { user, system } = process.cpuUsage(before);
    report[kind] = { milliseconds, processorMs: (user + system) / 1000 / rounds, ...(await counted(host, kind)) };
  }
  console.log(JSON.stringify(report));
}

async function repeat(host: Host, kind: Kind, rounds: number): Promise<number[]> {
  const kept = new Observer(host);
  await kept.round();
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    await (kind === 'from nothing' ? new Observer(host) : kept).round(OPTIONS[kind]);
    times.push(performance.now() - began);
  }
  return times;
}

async function counted(host: Host, kind: Kind): Promise<Count> {
  const count: Count = { calls: 0, reaching: 0 };
  const observer = new Observer(counting(host, count));
  if (kind !== 'from nothing') await observer.round();
  Object.assign(count, { calls: 0, reaching: 0 });
  await observer.round(OPTIONS[kind]);
  return { ...count };
}

function counting(host: Host, count: Count): Host {
  const files = (real: Files): Files =>
    new Proxy(real, {
      get:
        (target, method: keyof Files) =>
        (...given: never[]): unknown => {
          count.calls += 1;
          if (method === 'readSlow') count.reaching += 1;
          return (target[method] as (...all: never[]) => unknown).apply(target, given);
        },
    });
  const reaches = (): void => {
    count.calls += 1;
    count.reaching += 1;
  };
  return withDoors(host, {
    sysfs: files(host.sysfs),
    proc: files(host.proc),
    openDevice: async (path, device) => {
      reaches();
      const opened = await host.openDevice(path, device);
      if (!('ioctl' in opened)) return opened;
      return {
        close: () => opened.close(),
        ioctl: (request, bytes, pointers) => {
          reaches();
          return opened.ioctl(request, bytes, pointers);
        },
      };
    },
  });
}

if (import.meta.main) await main();
