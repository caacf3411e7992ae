// What a NIC's firmware answers to driver-core through DEVX, each answer as one word where it is refused.

import { type Host, refused } from '../../../driver-core/src/host/host.ts';
import { openDevx } from '../../../driver-core/src/verbs/devx.ts';
import { Refusal } from '../../../driver-core/src/verbs/errors.ts';
import { type Capabilities, queryCapabilities, queryDataDirectVuid } from '../../../driver-core/src/verbs/firmware.ts';
import { code, must } from './answers.ts';
import { drivers } from './drivers.ts';

export interface FirmwareAnswers {
  /** How opening the way to it ended. */
  readonly devx: string;
  readonly capabilities?: Capabilities | string;
  readonly vuid?: string;
}

export async function askFirmware(host: Host, nic: string): Promise<FirmwareAnswers> {
  const firmware = await openDevx(host, drivers.uverbsOf(nic) ?? '', nic);
  if (firmware instanceof Refusal) return { devx: code(firmware) };
  try {
    const capabilities = await queryCapabilities(firmware);
    if (capabilities instanceof Refusal) return { devx: 'ok', capabilities: code(capabilities) };
    const vuid = await queryDataDirectVuid(firmware, capabilities.vhcaId);
    return { devx: 'ok', capabilities, vuid: vuid instanceof Refusal ? code(vuid) : vuid };
  } finally {
    await firmware.close();
  }
}

/** Any command, and how it ended: `ok`, or the errno with what the firmware says. */
export async function sendToFirmware(host: Host, nic: string, command: Buffer, answerBytes: number): Promise<string> {
  const firmware = must(await openDevx(host, drivers.uverbsOf(nic) ?? '', nic));
  try {
    const answer = await firmware.execute(command, answerBytes);
    return refused(answer) ? `${answer.code}: ${answer.what}` : 'ok';
  } finally {
    await firmware.close();
  }
}
