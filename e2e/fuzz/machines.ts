// The shipped machines, to be spoiled.

import { createVirtualHost, type Fixture, type VirtualHost } from '@data-direct/driver-core';
import * as fc from 'fast-check';
import { machines } from '../../driver-core/fixtures/source/machines.ts';
import { parseFixture } from '../../driver-core/src/virtual/fixture.ts';

export const machineName: fc.Arbitrary<string> = fc.constantFrom(...Object.keys(machines));

export function entriesOf(name: string): readonly Readonly<Record<string, unknown>>[] {
  return machines[name] ?? [];
}

const fixtures = new Map<string, Fixture>();

export function hostOf(name: string): VirtualHost {
  const fixture = fixtures.get(name) ?? parseFixture(name, entriesOf(name));
  fixtures.set(name, fixture);
  return createVirtualHost(fixture);
}
