// What a NIC's firmware says, where the kernel's answer leaves something open (binding/evidence.ts, openQuestion): DEVX on the uverbs node first,
// fwctl where that gives nothing. Kept until something speaks against it, because a command takes milliseconds of the device.
import { openQuestion, pair } from '../binding/evidence.ts';
import type { Host } from '../host/host.ts';
import { mayHaveDataDirect } from '../pci/ids.ts';
import { chargedTo, hasNicDriver, pathOfNic } from '../pci/nic.ts';
import { openDevx } from '../verbs/devx.ts';
import { Refusal } from '../verbs/errors.ts';
import type { Capabilities, Firmware } from '../verbs/firmware.ts';
import { queryCapabilities, queryDataDirectVuid } from '../verbs/firmware.ts';
import { openFwctl } from '../verbs/fwctl.ts';
import type { Trigger } from './follow.ts';
import { named } from './follow.ts';
import type { DmaSeen, FirmwareSeen, NicSeen } from './snapshot.ts';

interface Kept {
  readonly key: string;
  readonly seen: FirmwareSeen;
}

export class FirmwareObserver {
  readonly #host: Host;
  readonly #kept = new Map<string, Kept>();

  constructor(host: Host) {
    this.#host = host;
  }

  /** The NICs with what their firmware says, where there is a question to it. */
  observe(nics: readonly NicSeen[], dmas: readonly DmaSeen[]): Promise<NicSeen[]> {
    return Promise.all(
      pair(nics, dmas).map(async (pairing) => {
        const { nic } = pairing;
        // Only mlx5_core opens a way, and without DMA functions there is nothing to explain.
        const reachable = hasNicDriver(nic) && dmas.length > 0;
        const question = reachable && mayHaveDataDirect(nic.model) ? openQuestion(pairing) : undefined;
        return question === undefined ? nic : { ...nic, firmware: await this.#ask(nic, question) };
      }),
    );
  }

  /** Capabilities change only while a function has no driver, which makes events; what was refused may be granted at any time. */
  forget(trigger: Trigger | undefined, reverify: boolean): void {
    const changed = new Set(trigger?.kind === 'uevents' ? named(trigger, this.#kept.keys()) : []);
    for (const [id, { seen }] of this.#kept) {
      const mayBeGranted = reverify && seen.refusals.length > 0;
      if (trigger?.kind === 'gap' || changed.has(id) || mayBeGranted) this.#kept.delete(id);
    }
  }

  async #ask(nic: NicSeen, question: string): Promise<FirmwareSeen> {
    const key = JSON.stringify([pathOfNic(nic), nic.rdmaDevice, nic.uverbs, question]);
    const kept = this.#kept.get(nic.id);
    if (kept?.key === key) return kept.seen;
    const seen = await askFirmware(this.#host, nic, question);
    this.#kept.set(nic.id, { key, seen });
    return seen;
  }
}

async function askFirmware(host: Host, nic: NicSeen, question: string): Promise<FirmwareSeen> {
  const refusals: Refusal[] = [];
  let capabilities: Capabilities | undefined;
  for (const { open } of waysTo(host, nic)) {
    const firmware = await open();
    const answer = firmware instanceof Refusal ? { refusal: firmware } : await interview(firmware);
    capabilities ??= answer.capabilities;
    if (answer.refusal === undefined) return { question, capabilities, vuid: answer.vuid, refusals };
    refusals.push(answer.refusal);
  }
  return { question, capabilities, vuid: undefined, refusals };
}

interface Way {
  readonly through: 'DEVX' | 'fwctl';
  readonly open: () => Promise<Firmware | Refusal>;
}

/** Those that there are, the one without privilege first. A node that could not be opened a moment ago is not tried again. */
export function waysTo(host: Host, nic: NicSeen): Way[] {
  const { uverbs, fwctl, kernel } = nic;
  const device = chargedTo(nic);
  const closed = kernel?.refusal?.call === 'open' ? kernel.refusal : undefined;
  const devx = async (name: string): Promise<Firmware | Refusal> => closed ?? openDevx(host, name, device);
  return [
    ...(uverbs === undefined ? [] : [{ through: 'DEVX', open: () => devx(uverbs) } as const]),
    ...(fwctl === undefined ? [] : [{ through: 'fwctl', open: () => openFwctl(host, fwctl, device) } as const]),
  ];
}

interface Interview {
  readonly capabilities?: Capabilities;
  /** Undefined also where firmware says that it has no data direct, so that there is nothing to ask. */
  readonly vuid?: string | undefined;
  readonly refusal?: Refusal;
}

async function interview(firmware: Firmware): Promise<Interview> {
  try {
    const capabilities = await queryCapabilities(firmware);
    if (capabilities instanceof Refusal) return { refusal: capabilities };
    if (!capabilities.dataDirect || !capabilities.queryVuid) return { capabilities };
    const vuid = await queryDataDirectVuid(firmware, capabilities.vhcaId);
    return vuid instanceof Refusal ? { capabilities, refusal: vuid } : { capabilities, vuid };
  } finally {
    await firmware.close();
  }
}
