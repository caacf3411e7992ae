// Firmware commands of driver-core through the stock driver's DEVX: QUERY_HCA_CAP and QUERY_VUID as an unprivileged program can send them.

import { describe, expect, test } from 'vitest';
import type { Faults } from '../cx8/nic/faults.ts';
import { queryVuidIn } from '../cx8/nic/layouts.ts';
import { opcodeOf } from '../cx8/nic/opcodes.ts';
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

/** Commands that the driver lets through as they are (0xb00 to 0xcff, and QUERY_HCA_CAP): what the NIC says, and its log. */
const malformed: Readonly<Record<string, { command: Buffer; answerBytes: number; status: string; log: string }>> = {
  'of a number that nobody knows': {
    command: commandOf(0xb55),
    answerBytes: 16,
    status: '0x2 ',
    log: 'opcode 0xb55 refused with status 0x2: this firmware does not know it',
  },
  'that leaves too little room for its answer': {
    command: commandOf(opcodeOf('QUERY_HCA_CAP')),
    answerBytes: 16,
    status: '0x51 ',
    log: 'QUERY_HCA_CAP refused with status 0x51: output of 16 bytes, needs 4112',
  },
  'for a function that is not its own': {
    command: commandOf(opcodeOf('QUERY_VUID'), queryVuidIn.encode({ data_direct: 1, vhca_id: 0x99 })),
    answerBytes: 0xc0,
    status: '0x3 ',
    log: 'QUERY_VUID refused with status 0x3: QUERY_VUID for vhca 153 with data_direct 1',
  },
};

function commandOf(opcode: number, command: Buffer = Buffer.alloc(16)): Buffer {
  command.writeUInt16BE(opcode);
  return command;
}

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

  describe('a malformed command', () => {
    test.each(Object.entries(malformed))('%s is refused, and the next one answered', async (_name, row) => {
      const { command, answerBytes, status, log } = row;
      const said = await tray().run(
        async ({ openLinuxHost, sendToFirmware }, ...about) => sendToFirmware(await openLinuxHost(), ...about),
        [ADDRESS.nic0, command, answerBytes] as const,
      );
      expect(said).toMatch(/^EREMOTEIO: firmware status /);
      expect(said).toContain(`firmware status ${status}`);
      expect(await tray().tray.log()).toContain(`nic0: ${log}\n`);
      const next = await tray().run(
        async ({ openLinuxHost, askFirmware }, address) => askFirmware(await openLinuxHost(), address),
        [ADDRESS.nic0],
      );
      expect(next).toMatchObject({ devx: 'ok', vuid: tray().vuid('nic0') });
    });
  });
}
