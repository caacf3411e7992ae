// A whole tray of virtual adapters: every function on a socket of its own, the NICs on one fabric, all in one thread.
import { dmaFunction } from './dma-function.ts';
import { serverError } from './errors.ts';
import { gpuFunction } from './gpu-function.ts';
import type { Loop } from './loop.ts';
import type { Identity } from './nic/identity.ts';
import { Nic } from './nic/nic.ts';
import type { Slot } from './pci/function.ts';
import { functionSocket } from './sockets.ts';
import type { NicSpec, TraySpec } from './tray-spec.ts';
import { DmaMap } from './vfio-user/dma-map.ts';
import { Endpoint, type Log } from './vfio-user/endpoint.ts';
import { Interrupts } from './vfio-user/interrupts.ts';

/** A made-up number of the block that the vendor has for GUIDs. */
const FIRST_GUID = 0xb83f_d200_00c8_0000n;

export class Tray {
  readonly nics: ReadonlyMap<string, Nic>;
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** Images by DMA function. */
  readonly #vpds: Map<string, Buffer>;

  /** `directory` gets a socket NAME.sock for each function. */
  constructor(spec: TraySpec, directory: string, loop: Loop, log: Log) {
    this.#vpds = new Map(spec.dmaFunctions.map(({ name, vpd }) => [name, Buffer.from(vpd, 'base64')]));
    const slots = new Map(
      [...spec.nics, ...spec.dmaFunctions, ...spec.gpus].map(({ name }) => [name, emptySlot(name)]),
    );
    const slot = (name: string): Slot => slots.get(name) ?? emptySlot(name);
    const byLid = new Map<number, Nic>();
    const makeNic = (nic: NicSpec, index: number): Nic =>
      new Nic({
        name: nic.name,
        identity: identityOf(nic, index),
        isVirtualFunction: nic.function === 'VF',
        vpd: Buffer.from(nic.vpd, 'base64'),
        slot: slot(nic.name),
        dataDirect: slot(nic.dmaFunction).dma,
        capabilities: nic.capabilities,
        timers: loop,
        fabric: { node: (lid) => byLid.get(lid) },
        log,
      });
    this.nics = new Map(spec.nics.map((nic, index) => [nic.name, makeNic(nic, index)]));
    for (const nic of this.nics.values()) byLid.set(nic.identity.lid, nic);
    const functions = [
      ...this.nics.values(),
      ...spec.dmaFunctions.map(({ name }) => dmaFunction(name, () => this.#vpds.get(name) ?? Buffer.alloc(0))),
      ...spec.gpus.map(({ name }) => gpuFunction(name)),
    ];
    this.endpoints = new Map(
      functions.map((one) => [
        one.name,
        new Endpoint(loop, functionSocket(directory, one.name), one, slot(one.name), log),
      ]),
    );
  }

  plug(): void {
    for (const endpoint of this.endpoints.values()) endpoint.plug();
  }

  unplug(): void {
    for (const endpoint of this.endpoints.values()) endpoint.unplug();
  }

  /** What the guest will read from now on. */
  setVpd(dmaFunctionName: string, image: Buffer): void {
    if (!this.#vpds.has(dmaFunctionName)) {
      throw serverError('CONTROL_INVALID', {
        where: dmaFunctionName,
        problem: `there are ${[...this.#vpds.keys()].join(', ')}`,
      });
    }
    this.#vpds.set(dmaFunctionName, image);
  }
}

function emptySlot(name: string): Slot {
  return { dma: new DmaMap(name), interrupts: new Interrupts() };
}

function identityOf({ lid, vuid }: NicSpec, index: number): Identity {
  return { vhcaId: index + 1, guid: FIRST_GUID + BigInt(lid) * 0x1_0000n, lid, vuid };
}
