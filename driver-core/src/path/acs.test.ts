import { describe, expect, it } from 'vitest';

import type { Change } from '../virtual/changes.ts';
import { applyChange } from '../virtual/changes.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import type { PortAcs } from './acs.ts';
import { assessAcs, configAcs } from './acs.ts';
import { Observer } from './observe.ts';
import type { Snapshot } from './snapshot.ts';

async function seen(fixture: string, ...changes: readonly Change[]): Promise<Snapshot> {
  const host = createVirtualHost(await loadFixture(fixture));
  for (const change of changes) applyChange(host, change);
  return new Observer(host).observe({ verification: 'None' });
}

function port(ports: readonly PortAcs[], address: string): PortAcs | undefined {
  return ports.find((each) => each.address === address);
}

const count = (ports: readonly PortAcs[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(ports, ({ verdict }) => verdict)].map(([verdict, all]) => [verdict, all.length]));

/** As Linux leaves a station, and as it was reported from the field: every port isolates. */
const AS_BOOTED: readonly Change[] = ['0009:00:00.0', '0009:02:00.0', '0009:02:02.0'].map((address) => [
  'acs',
  address,
  '0011101',
]);

describe('the ports of a data direct complex', () => {
  it('are right on a tray that is set up, the NIC’s own ports and those further down included', async () => {
    const ports = assessAcs(await seen('gb300-tray'));
    expect(count(ports)).toEqual({ Right: 26 });
    expect(port(ports, '0009:00:00.0')).toMatchObject({ role: 'ComplexRoot', expected: 'xx111x0', found: '0011100' });
    expect(port(ports, '0009:02:00.0')).toMatchObject({ role: 'TowardsDma', expected: 'xx110x1', found: '0011001' });
    expect(port(ports, '0009:02:02.0')).toMatchObject({ role: 'TowardsGpu', expected: 'xx101x1', found: '0010101' });
    expect(port(ports, '0009:05:00.0')).toMatchObject({ role: 'Other', expected: 'xx111x1', found: '0011101' });
    expect(port(ports, '0000:00:00.0')).toMatchObject({ role: 'Other', expected: 'xx111x1', found: '0011101' });
  });

  it('are wrong as Linux sets them by itself', async () => {
    const ports = assessAcs(await seen('dgx-station', ...AS_BOOTED));
    expect(ports.filter(({ verdict }) => verdict === 'Wrong').map(({ address }) => address)).toEqual([
      '0009:00:00.0',
      '0009:02:00.0',
      '0009:02:02.0',
    ]);
  });

  it('are not judged where the complex has another shape: no GPU, or none behind the same switch', async () => {
    for (const gone of ['0009:06:00.0', '0009:02:02.0']) {
      const ports = assessAcs(await seen('gb300-tray', ['remove', gone]));
      expect(port(ports, '0009:00:00.0')).toMatchObject({
        verdict: 'NotAssessed',
        expected: undefined,
        why: 'its complex has a shape for which no ACS is known',
      });
      expect(port(ports, '0008:00:00.0')).toMatchObject({ verdict: 'Right' });
    }
  });

  it('are not judged by those who see 64 bytes only, and by nobody where a port does not answer', async () => {
    const tray = await seen('gb300-tray');
    const hidden = assessAcs({ ...tray, acs: new Map([...tray.acs].map(([address]) => [address, 'hidden' as const])) });
    expect(Object.keys(count(hidden))).toEqual(['NotAssessed']);
    expect(port(hidden, '0009:02:00.0')).toMatchObject({ expected: 'xx110x1', why: 'only root may read its ACS' });
    const gone = assessAcs({ ...tray, acs: new Map([...tray.acs, ['0009:02:00.0', 'gone' as const]]) });
    expect(port(gone, '0009:02:00.0')).toMatchObject({ verdict: 'NotAssessed', why: 'it does not answer' });
  });

  it('cannot be set where a port has no ACS at all, as the ports of QEMU’s switch', async () => {
    const tray = await seen('gb300-tray');
    const ports = assessAcs({ ...tray, acs: new Map([...tray.acs, ['0009:02:00.0', 'absent' as const]]) });
    expect(port(ports, '0009:02:00.0')).toMatchObject({ verdict: 'NotAssessed', why: 'it has no ACS capability' });
    expect(configAcs(ports)).not.toContain('0009:02:00.0');
  });
});

describe('the ports above NICs and GPUs behind one switch', () => {
  it('have everything off on a bare machine', async () => {
    const ports = assessAcs(await seen('inline-b300'));
    expect(Object.keys(count(ports))).toEqual(['Right']);
    expect(new Set(ports.map(({ expected }) => expected))).toEqual(new Set(['xx000x0']));
    expect(port(ports, '0000:02:00.0')).toMatchObject({ role: 'InlineTowardsNic' });
    expect(port(ports, '0000:02:01.0')).toMatchObject({ role: 'InlineTowardsGpu' });
    expect(port(ports, '0000:00:01.0')).toMatchObject({ role: 'InlineRoot' });
  });

  it('isolate where the NICs have ATS, which is how virtual machines are served', async () => {
    const ports = assessAcs({ ...(await seen('inline-b300')), nicsHaveAts: true });
    expect(port(ports, '0000:02:00.0')).toMatchObject({ expected: '1x111x1', verdict: 'Wrong' });
    expect(port(ports, '0000:02:01.0')).toMatchObject({ expected: 'xx111x1', verdict: 'Wrong' });
    expect(port(ports, '0000:00:01.0')).toMatchObject({ expected: 'xx111x1', verdict: 'Wrong' });
  });

  it('are not judged where that cannot be told', async () => {
    const ports = assessAcs({ ...(await seen('inline-b300')), nicsHaveAts: undefined });
    expect(Object.keys(count(ports))).toEqual(['NotAssessed']);
    expect(configAcs(ports)).toBeUndefined();
  });
});

describe('pci=config_acs=', () => {
  it('mends the whole node: every port that Linux does not set so by itself, whether or not it is right today', async () => {
    const line =
      'pci=config_acs=xx111x0@0008:00:00.0;xx110x1@0008:02:00.0;xx101x1@0008:02:02.0;' +
      'xx111x0@0009:00:00.0;xx110x1@0009:02:00.0;xx101x1@0009:02:02.0;' +
      'xx111x0@0018:00:00.0;xx110x1@0018:02:00.0;xx101x1@0018:02:02.0;' +
      'xx111x0@0019:00:00.0;xx110x1@0019:02:00.0;xx101x1@0019:02:02.0';
    expect(configAcs(assessAcs(await seen('gb300-tray')))).toBe(line);
    expect(configAcs(assessAcs(await seen('gb300-tray', ['acs', '0009:00:00.0', '0011101'])))).toBe(line);
  });

  it('can be told without having read any port: it follows from where the functions sit', async () => {
    const station = await seen('dgx-station', ...AS_BOOTED);
    expect(configAcs(assessAcs({ ...station, acs: new Map() }))).toBe(
      'pci=config_acs=xx111x0@0009:00:00.0;xx110x1@0009:02:00.0;xx101x1@0009:02:02.0',
    );
  });
});
