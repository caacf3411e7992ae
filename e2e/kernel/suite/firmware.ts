// Firmware commands of driver-core through the stock driver's DEVX: QUERY_HCA_CAP and QUERY_VUID as an unprivileged program can send them.

import { describe, expect, test } from 'vitest';
import type { Faults } from '../cx8/nic/faults.ts';
import type { FirmwareAnswers } from '../guest/ask-firmware.ts';
import { ADDRESS, type NicName, type TrayMachine } from '../tray-machine.ts';

const capable = { dataDirect: true, queryVuid: true, crossingVhcaMkey: true };

interface Row {
  readonly nic: NicName;
  readonly faults?: Faults;
  /** Faults of before the driver's probe; by default the NIC keeps its driver. */
  readonly rebind?: true;
  readonly expected: (vuid: string) => FirmwareAnswers;
}

const rows: Readonly<Record<string, Row>> = {
  'of a NIC': { nic: 'nic0', expected: (vuid) => ({ devx: 'ok', capabilities: { ...capable, vhcaId: 1 }, vuid }) },
  'of another NIC': {
    nic: 'nic1',
    expected: (vuid) => ({ devx: 'ok', capabilities: { ...capable, vhcaId: 2 }, vuid }),
  },
  'of a VF with data direct off': {
    nic: 'vf0',
    expected: (vuid) => ({ devx: 'ok', capabilities: { ...capable, dataDirect: false, vhcaId: 3 }, vuid }),
  },
  'of a NIC whose VUID has changed since its probe': {
    nic: 'nic0',
    faults: { vuids: ['changed'] },
    expected: () => ({ devx: 'ok', capabilities: { ...capable, vhcaId: 1 }, vuid: 'changed' }),
  },
  'that refuses QUERY_VUID': {
    nic: 'nic0',
    faults: { commands: { QUERY_VUID: { status: 0x0f } } },
    expected: () => ({ devx: 'ok', capabilities: { ...capable, vhcaId: 1 }, vuid: 'EREMOTEIO' }),
  },
  'that refuses QUERY_HCA_CAP': {
    nic: 'nic0',
    faults: { commands: { QUERY_HCA_CAP: { status: 0x02 } } },
    expected: () => ({ devx: 'ok', capabilities: 'EREMOTEIO' }),
  },
  'that grants no user contexts': {
    nic: 'nic0',
    faults: { capabilities: { log_max_uctx: 0 } },
    rebind: true,
    expected: () => ({ devx: 'EINVAL' }),
  },
};

export function firmware(tray: () => TrayMachine): void {
  describe('firmware through DEVX', () => {
    test.each(Object.entries(rows))('%s', async (_name, { nic, faults, rebind, expected }) => {
      if (faults !== undefined) await tray().setFaults(nic, faults);
      if (rebind === true) await tray().rebind(nic);
      const answers = await tray().run(
        async ({ openLinuxHost, askFirmware }, address) => askFirmware(await openLinuxHost(), address),
        [ADDRESS[nic]],
      );
      expect(answers).toEqual(expected(tray().vuid(nic)));
    });
  });
}
