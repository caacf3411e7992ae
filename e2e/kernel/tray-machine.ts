// A machine with a tray of virtual adapters in it: the machine of driver-core's fixture one-domain behind a
// translating IOMMU, and beside it a NIC like a VF whose firmware has data direct switched off.

import { loadFixture } from '@data-direct/driver-core';
import { RigError } from '../rig/errors.ts';
import { trayOfFixture } from './cx8/fixture-tray.ts';
import type { Capabilities } from './cx8/nic/capabilities.ts';
import type { Faults } from './cx8/nic/faults.ts';
import { ServedTray } from './cx8/served-tray.ts';
import type { TraySpec } from './cx8/tray-spec.ts';
import { type VfioUserDevice, vfioUserDevice } from './boot/topology.ts';
import { boot, type Guest, type Machine, type MachineOptions } from './machine.ts';
import { oneDomain } from './topologies.ts';
import type { KernelSeries } from './versions.ts';

/** PCI addresses, as the topology gives them. */
export const ADDRESS = {
  nic0: '0000:01:00.0',
  nic1: '0000:02:00.0',
  dma0: '0000:05:00.0',
  gpu0: '0000:08:00.0',
  dma1: '0000:0b:00.0',
  gpu1: '0000:0e:00.0',
  vf0: '0000:0f:00.0',
} as const;
export type FunctionName = keyof typeof ADDRESS;
export type NicName = 'nic0' | 'nic1' | 'vf0';
export type DmaName = 'dma0' | 'dma1';

const names = Object.keys(ADDRESS) as FunctionName[];
const adapters = {
  nics: [ADDRESS.nic0, ADDRESS.nic1, ADDRESS.vf0],
  dmaFunctions: [ADDRESS.dma0, ADDRESS.dma1],
};
const topology = [
  ...oneDomain([{ oneGroup: true }, { oneGroup: false }]),
  { id: 'vf0-port', kind: 'root-port', slot: 5 },
] as const;
/** A case may load the drivers of all adapters anew. */
const requestMs = 60_000;

const deviceOf = (tray: ServedTray, id: FunctionName): VfioUserDevice => ({
  id,
  bus: `${id}-port`,
  socket: tray.socket(id),
});

async function traySpec(capabilities: Capabilities): Promise<TraySpec> {
  const tray = trayOfFixture(await loadFixture('one-domain'));
  const [pf, ...others] = tray.nics;
  if (pf === undefined) throw new Error('the fixture one-domain has no NIC');
  const vf = { ...pf, name: 'vf0', lid: 0x40, function: 'VF' as const, capabilities: { data_direct: 0 } };
  return { ...tray, nics: [{ ...pf, capabilities }, ...others, vf] };
}

interface TrayMachineOptions extends Pick<MachineOptions, 'terminal' | 'report' | 'append'> {
  /** What nic0 has otherwise from the beginning. */
  readonly capabilities?: Capabilities;
}

/** What a case changes in it is put back before the next one. */
export class TrayMachine {
  readonly machine: Machine;
  readonly tray: ServedTray;
  readonly #spec: TraySpec;
  readonly #faulty = new Set<NicName>();
  readonly #rewritten = new Set<DmaName>();
  readonly #unplugged = new Set<DmaName>();
  readonly #lost = new Set<DmaName>();
  #killed = false;

  private constructor(machine: Machine, tray: ServedTray, spec: TraySpec) {
    this.machine = machine;
    this.tray = tray;
    this.#spec = spec;
  }

  /** As QEMU and kernel leave it: restore() brings the drivers up. */
  static async start(
    kernel: KernelSeries,
    { capabilities = {}, ...options }: TrayMachineOptions = {},
  ): Promise<TrayMachine> {
    const spec = await traySpec(capabilities);
    const tray = await ServedTray.start(spec);
    try {
      const devices = names.map((name) => deviceOf(tray, name));
      const machine = await boot({ kernel, iommu: 'translating', topology, bridgeIds: 'nvidia', devices, ...options });
      return new TrayMachine(machine, tray, spec);
    } catch (error) {
      await tray.end();
      throw error;
    }
  }

  /** Runs in the guest, like Machine.run. A guest that does not answer is ended, so that nothing waits for it again. */
  readonly run = async <A extends readonly unknown[], R>(
    work: (guest: Guest, ...args: A) => R,
    args: A,
  ): Promise<Awaited<R>> => {
    try {
      return await this.machine.run(work, args, { timeoutMs: requestMs });
    } catch (error) {
      if (!(error instanceof RigError) || error.code !== 'REQUEST_TIMED_OUT') throw error;
      console.log(await this.machine.logs());
      await this.machine.end();
      throw error;
    }
  };

  /** As of now, in place of those before. A driver that is bound anew meets those of its probe. */
  async setFaults(nic: NicName, faults: Faults): Promise<void> {
    this.#faulty.add(nic);
    await this.tray.setFaults(nic, faults);
  }

  async setVpd(dma: DmaName, image: Buffer): Promise<void> {
    this.#rewritten.add(dma);
    await this.tray.setVpd(dma, image);
  }

  /** As the tray was made. */
  vpd(dma: DmaName): Buffer {
    const found = this.#spec.dmaFunctions.find(({ name }) => name === dma);
    return Buffer.from(found?.vpd ?? '', 'base64');
  }

  /** What the NIC's firmware names, as the tray was made. */
  vuid(nic: NicName): string {
    return this.#spec.nics.find(({ name }) => name === nic)?.vuid ?? '';
  }

  /** The machine's slot is empty afterwards. A NIC cannot go this way: QEMU 11.1 aborts. */
  async unplug(dma: DmaName): Promise<void> {
    this.#unplugged.add(dma);
    await this.machine.unplug(dma);
  }

  async plug(dma: DmaName): Promise<void> {
    await this.machine.plug(vfioUserDevice(deviceOf(this.tray, dma)));
    this.#unplugged.delete(dma);
  }

  /** Whoever reads its configuration space or its VPD reads ones; the guest is not told. */
  async loseFromBus(dma: DmaName): Promise<void> {
    this.#lost.add(dma);
    await this.tray.unplug(dma);
  }

  /** One that was lost is taken out of its slot, and another one put in. */
  async replace(dma: DmaName): Promise<void> {
    await this.unplug(dma);
    await this.tray.plug(dma);
    this.#lost.delete(dma);
    await this.plug(dma);
  }

  /** Unbinds the driver and binds it. */
  async rebind(name: FunctionName): Promise<void> {
    await this.run(({ drivers }, address) => drivers.rebind(address), [ADDRESS[name]]);
  }

  /** No fault, every function there with its driver, every NIC with its uverbs node, no device open. */
  async restore(): Promise<void> {
    if (this.#killed) return;
    for (const nic of this.#faulty) await this.tray.setFaults(nic, {});
    for (const dma of this.#rewritten) await this.tray.setVpd(dma, this.vpd(dma));
    for (const dma of this.#lost) await this.replace(dma);
    for (const dma of this.#unplugged) await this.plug(dma);
    await this.run(
      async ({ closeLeftDevices, drivers, kept }, all, faulty, rewritten) => {
        await Promise.all([kept.follower?.end(), kept.paths?.end()]);
        delete kept.follower;
        delete kept.paths;
        await closeLeftDevices();
        for (const nic of faulty) drivers.unbind(nic);
        // The kernel measures a VPD once in a function's life. A NIC that had another function's VUID is paired when its own comes.
        if (rewritten.length > 0) for (const dma of all.dmaFunctions) drivers.unbind(dma);
        for (const dma of rewritten) drivers.remove(dma);
        await drivers.settle(all);
      },
      [
        adapters,
        [...this.#faulty].map((nic) => ADDRESS[nic]),
        [...this.#rewritten].map((dma) => ADDRESS[dma]),
      ] as const,
    );
    this.#faulty.clear();
    this.#rewritten.clear();
  }

  /** QEMU, at once. The tray goes on. */
  async kill(): Promise<void> {
    this.#killed = true;
    await this.machine.end();
  }

  async end(): Promise<void> {
    await this.machine.end();
    await this.tray.end();
  }
}
