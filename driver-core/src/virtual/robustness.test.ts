// Whatever stands in a fixture and whatever is done to the machine: a clear refusal or a host that holds together.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { machines } from '../../fixtures/source/machines.ts';
import { refused } from '../host/host.ts';
import { applyChange, CHANGES, partsOf } from './changes.ts';
import { VirtualError } from './errors.ts';
import { FUNCTION_FIELDS, parseFixture } from './fixture.ts';
import { createVirtualHost } from './host.ts';
import type { VirtualHost } from './host.ts';

const tray = machines['gb300-tray'] ?? [];

/** Reads all of /sys, as a careless tool would: how many entries there are, and the links that lead nowhere. */
function walk(host: VirtualHost, directory = ''): { entries: number; dangling: string[] } {
  const names = host.sysfs.list(directory);
  if (refused(names)) throw new Error(`${names.what}: ${names.code}`);
  const found = { entries: names.length, dangling: [] as string[] };
  for (const name of names) {
    const path = `${directory}/${name}`;
    if (typeof host.sysfs.link(path) === 'string') {
      if (refused(host.sysfs.real(path))) found.dangling.push(path);
    } else if (Array.isArray(host.sysfs.list(path))) {
      const below = walk(host, path);
      found.entries += below.entries;
      found.dangling.push(...below.dangling);
    }
  }
  return found;
}

/** The host that a fixture makes, or the refusal. */
function attempt(entries: unknown): VirtualHost | VirtualError {
  try {
    return createVirtualHost(parseFixture('fuzz.json', entries));
  } catch (error) {
    if (error instanceof VirtualError) return error;
    throw error;
  }
}

/** A refusal that does not name file and place, a link that leads nowhere. */
function flaws(made: VirtualHost | VirtualError): string[] {
  if (!(made instanceof VirtualError)) return walk(made).dangling;
  return made.message.startsWith('fuzz.json: $') ? [] : [made.message];
}

test('a fixture with anything in any field is refused by name or makes a host', () => {
  const field = fc.constantFrom(...FUNCTION_FIELDS, 'other');
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('/sys/devices/0000:00:00.0', '/sys/devices/vendor/0000:00:00.0/0000:01:00.0', '', null),
    fc.record({ driver: fc.constantFrom('config', 'vfio-pci', '..', null) }),
    fc.record({ infiniband: fc.array(fc.constantFrom('mlx5_0', 'x', 'ports')) }),
  );
  const outcomes = new Set<string>();
  fc.assert(
    fc.property(fc.nat(tray.length - 1), field, anything, (index, name, value) => {
      const entries = tray.map((entry, at) => (at === index ? { ...entry, [name]: value } : entry));
      const made = attempt(entries);
      outcomes.add(made instanceof VirtualError ? 'refused' : 'made');
      expect(flaws(made)).toEqual([]);
    }),
    { numRuns: 200 },
  );
  expect(outcomes).toEqual(new Set(['refused', 'made']));
});

test('after any changes in any order the machine holds together, and mending everything mends it', () => {
  const words = fc.constantFrom(
    '0000:03:00.0',
    '0009:03:00.0',
    '0009:06:00.0',
    '0009:01:00.0',
    '0016:03:00.0',
    'mlx5_1',
    '30',
    'none',
    '0011101',
    '20',
    'V3',
    'x',
    'path',
    'open',
    'EIO',
    '524',
    'shared',
    'exclusive',
  );
  const change = fc.tuple(fc.constantFrom(...CHANGES.map((each) => each.name)), words, words, words);
  const lengths = new Map(CHANGES.map((each) => [each.name, each.arguments.length]));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const host = createVirtualHost(parseFixture('tray.json', structuredClone(tray)));
      const healthy = partsOf(host);
      for (const [name, ...given] of changes) tryChange(host, [name, ...given.slice(0, lengths.get(name))]);
      for (const { address } of partsOf(host)) tryChange(host, ['unwedge', address]);
      expect(walk(host).dangling).toEqual([]);

      for (const address of host.kernel.hardware.keys()) {
        for (const mend of ['vpd-restore', 'add', 'bind', 'port-up', 'show-uverbs', 'allow'])
          tryChange(host, [mend, address]);
      }
      // Names may have been swapped, groups moved: what counts is that all is there and bound.
      const state = ({ address, present, driver, portState }: (typeof healthy)[number]): unknown => [
        address,
        present,
        driver,
        portState,
      ];
      expect(partsOf(host).map(state)).toEqual(healthy.map(state));
    }),
    { numRuns: 100 },
  );
});

function tryChange(host: VirtualHost, change: readonly string[]): void {
  try {
    applyChange(host, change);
  } catch (error) {
    if (!(error instanceof VirtualError)) throw error;
  }
}
