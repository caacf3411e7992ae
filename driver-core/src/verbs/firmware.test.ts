import { beforeEach, describe, expect, it } from 'vitest';

import { applyChange } from '../virtual/changes.ts';
import { createVirtualHost } from '../virtual/host.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { openDevx } from './devx.ts';
import { Refusal, unheard } from './errors.ts';
import type { Firmware } from './firmware.ts';
import { queryCapabilities, queryDataDirectVuid } from './firmware.ts';
import { openFwctl } from './fwctl.ts';

const NIC = '0000:03:00.0';

let host: VirtualHost;
beforeEach(async () => {
  const fixture = await loadFixture('gb300-tray');
  host = createVirtualHost({ ...fixture, extension: { ...fixture.extension!, fwctl: true } });
});

function granted<T>(answer: T | Refusal): T {
  if (answer instanceof Refusal) throw new Error(unheard(answer));
  return answer;
}

function sentence(answer: unknown): string {
  return answer instanceof Refusal ? unheard(answer) : 'answered';
}

const WAYS: readonly [string, () => Promise<Firmware | Refusal>][] = [
  ['DEVX', () => openDevx(host, 'uverbs0', NIC)],
  ['fwctl', () => openFwctl(host, 'fwctl0', NIC)],
];

describe.each(WAYS)('firmware asked through %s', (_way, open) => {
  it('tells its capabilities and the VUID of its DMA function', async () => {
    const firmware = granted(await open());
    const capabilities = granted(await queryCapabilities(firmware));
    expect(capabilities).toMatchObject({ dataDirect: true, queryVuid: true, crossingVhcaMkey: true });
    expect(await queryDataDirectVuid(firmware, capabilities.vhcaId)).toBe('VT2547VIRT001MLNXDATADIRECT0');
    await firmware.close();
  });

  it('tells what is off', async () => {
    applyChange(host, ['vuid', NIC, 'none']);
    applyChange(host, ['capability', NIC, 'crossing_vhca_mkey', 'off']);
    applyChange(host, ['capability', NIC, 'query_vuid', 'off']);
    const firmware = granted(await open());
    expect(await queryCapabilities(firmware)).toMatchObject({
      dataDirect: false,
      queryVuid: false,
      crossingVhcaMkey: false,
    });
  });

  it('that refuses is quoted with status and syndrome', async () => {
    applyChange(host, ['firmware-refuse', NIC, 'query_vuid', '0x02']);
    const firmware = granted(await open());
    const { vhcaId } = granted(await queryCapabilities(firmware));
    expect(sentence(await queryDataDirectVuid(firmware, vhcaId))).toBe(
      'QUERY_VUID answered EREMOTEIO (121): firmware status 0x2 (unknown command, or one that this caller may not give), syndrome 0xfeed',
    );
  });

  it('of a NIC that goes away meanwhile is unheard', async () => {
    const firmware = granted(await open());
    applyChange(host, ['unbind', NIC]);
    expect(sentence(await queryCapabilities(firmware))).toContain('the device went away');
  });
});

describe('no way to the firmware', () => {
  it('is told by the call that was refused', async () => {
    applyChange(host, ['refuse', NIC, 'open', 'EACCES']);
    expect(sentence(await openDevx(host, 'uverbs0', NIC))).toBe(
      'open answered EACCES (13): the mode of the node keeps this process out',
    );
    expect(sentence(await openFwctl(host, 'fwctl9', NIC))).toBe('open answered ENOENT (2): there is no such node');
  });

  it('is a firmware that grants no user contexts', async () => {
    applyChange(host, ['unbind', NIC]);
    applyChange(host, ['capability', NIC, 'log_max_uctx', 'off']);
    applyChange(host, ['bind', NIC]);
    expect(sentence(await openDevx(host, 'uverbs0', NIC))).toContain('log_max_uctx is 0');
  });
});
