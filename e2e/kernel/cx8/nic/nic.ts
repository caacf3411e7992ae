// A ConnectX-8 as a PCI function: BAR0 with initialization segment and doorbells, and the firmware behind it.
import { accessControl, msix, pciExpress, vitalProductData } from '../pci/capabilities.ts';
import { ConfigSpace } from '../pci/config-space.ts';
import type { Bar, PciFunction, Slot } from '../pci/function.ts';
import type { DmaMap } from '../vfio-user/dma-map.ts';
import { type Timers, TURN_MS } from '../loop.ts';
import { type Capabilities, OWN_CAPABILITIES } from './capabilities.ts';
import { CommandQueue } from './command-queue.ts';
import { runCommand } from './commands.ts';
import { Doorbells } from './doorbells.ts';
import { EVENT, PORT_SUB_TYPE } from './event-queue.ts';
import type { Faults } from './faults.ts';
import type { Firmware } from './firmware.ts';
import type { Hardware } from './hardware.ts';
import type { Identity } from './identity.ts';
import { InitSegment } from './init-segment.ts';
import { commandInput } from './layouts.ts';
import { commandName } from './opcodes.ts';
import { Resources } from './resources.ts';
import { type Moved, Traffic } from './traffic.ts';
import { type Fabric, type Node, Work } from './work.ts';

const BAR0_SIZE = 32 * 1024 * 1024;
const PAGE = 0x1000;
/** Behind the last UAR page. */
const MSIX_TABLE = 0x100_0000;
const MSIX_PENDING = 0x100_1000;
const VECTORS = 16;
const PORT = 1;

export interface NicParts {
  readonly name: string;
  readonly identity: Identity;
  /** A VF as a guest sees it that was given one: its own device id, no register for host endianness. */
  readonly isVirtualFunction: boolean;
  readonly vpd: Buffer;
  readonly slot: Slot;
  /** The DMA domain of its 15b3:2100 function. */
  readonly dataDirect: DmaMap;
  readonly capabilities: Capabilities;
  readonly timers: Timers;
  readonly fabric: Fabric;
  readonly log: (line: string) => void;
}

export interface NicReport {
  /** How often each command has been given since the last reset. */
  readonly commands: Readonly<Record<string, number>>;
  readonly traffic: Readonly<Record<string, Moved>>;
  readonly memoryKeys: number;
  readonly queuePairs: number;
}

export class Nic implements PciFunction, Firmware, Node {
  readonly name: string;
  readonly config: ConfigSpace;
  readonly vectors = VECTORS;
  readonly bars: ReadonlyMap<number, Bar>;
  readonly identity: Identity;
  readonly hardware: Hardware;
  readonly #parts: NicParts;
  readonly #segment: InitSegment;
  readonly #commands: CommandQueue;
  #faults: Faults = {};
  #vuidsAnswered = 0;
  /** Entries that a fault keeps from being answered. */
  #unanswered = { queue: 0n, mask: 0 };
  /** Entries for later turns of the loop. */
  #left = { queue: 0n, mask: 0 };
  #resources: Resources;
  #work: Work;
  #doorbells: Doorbells;
  #traffic = new Traffic();
  #counts = new Map<string, number>();

  constructor(parts: NicParts) {
    this.name = parts.name;
    this.identity = parts.identity;
    this.#parts = parts;
    this.config = configSpace(parts);
    this.hardware = this.#hardwareOf(parts);
    this.#segment = new InitSegment(
      () => parts.timers.now(),
      () => this.#faults,
      (queue, mask) => this.#ring(queue, mask),
    );
    this.#commands = new CommandQueue(
      parts.slot.dma,
      (input, output) => this.#execute(input, output),
      (line) => this.hardware.log(line),
    );
    this.bars = new Map([
      [
        0,
        { size: BAR0_SIZE, read: (at, length) => this.#read(at, length), write: (at, data) => this.#write(at, data) },
      ],
    ]);
    this.#resources = new Resources(this.hardware);
    this.#work = new Work(this.#resources, parts.fabric, this.#traffic);
    this.#doorbells = new Doorbells(this.#resources, this.#work);
  }

  reset(): void {
    this.config.reset();
    this.#segment.reset();
    this.restart();
  }

  restart(): void {
    this.#unanswered = { queue: 0n, mask: 0 };
    this.#left = { queue: 0n, mask: 0 };
    // Work that waits for its time finds its queue pair gone.
    this.#resources.qps.clear();
    this.#traffic = new Traffic();
    this.#counts = new Map();
    this.#resources = new Resources(this.hardware);
    this.#work = new Work(this.#resources, this.#parts.fabric, this.#traffic);
    this.#doorbells = new Doorbells(this.#resources, this.#work);
  }

  get resources(): Resources {
    return this.#resources;
  }

  get work(): Work {
    return this.#work;
  }

  get faults(): Faults {
    return this.#faults;
  }

  get capabilities(): Capabilities {
    const { vhcaId } = this.identity;
    return { ...OWN_CAPABILITIES, vhca_id: vhcaId, ...this.#parts.capabilities, ...this.#faults.capabilities };
  }

  get portUp(): boolean {
    return this.#faults.port !== 'down' && this.#faults.dead !== true;
  }

  /** In place of those before; the driver is told of a port that goes down or comes up. */
  setFaults(faults: Faults): void {
    const wasUp = this.portUp;
    this.#faults = faults;
    this.#vuidsAnswered = 0;
    this.#answerLate();
    if (wasUp === this.portUp) return;
    const sub_type = this.portUp ? PORT_SUB_TYPE.ACTIVE : PORT_SUB_TYPE.DOWN;
    this.#resources.tell({ type: EVENT.PORT_CHANGE, sub_type, port: PORT });
  }

  nextVuid(): string | undefined {
    const vuids = this.#faults.vuids ?? [this.identity.vuid];
    const vuid = vuids[Math.min(this.#vuidsAnswered, vuids.length - 1)];
    this.#vuidsAnswered += 1;
    return vuid;
  }

  report(): NicReport {
    return {
      commands: Object.fromEntries(this.#counts),
      traffic: this.#traffic.report(),
      memoryKeys: this.#resources.mkeys.size,
      queuePairs: this.#resources.qps.size,
    };
  }

  #hardwareOf({ name, slot, timers, dataDirect, log }: NicParts): Hardware {
    const own = { dma: slot.dma, dataDirect };
    const exchanged = { dma: dataDirect, dataDirect: slot.dma };
    return {
      ...own,
      remoteDomains: () => (this.#faults.domainsExchanged === true ? exchanged : own),
      interrupt: (vector) => slot.interrupts.raise(vector),
      now: () => timers.now(),
      after: (milliseconds, work) => timers.after(milliseconds, work),
      log: (line) => log(`${name}: ${line}`),
    };
  }

  #read(offset: number, length: number): Buffer {
    return offset + length <= this.#segment.size ? this.#segment.read(offset, length) : Buffer.alloc(length);
  }

  #write(offset: number, data: Buffer): void {
    if (offset < this.#segment.size) this.#segment.write(offset, data);
    else if (offset < MSIX_TABLE) this.#doorbells.write(Math.floor(offset / PAGE), offset % PAGE, data);
  }

  /** From the first event queue for commands on, each completion is an event; that of making or ending this queue is not. */
  #ring(queue: bigint, mask: number): void {
    if (this.#faults.dead === true) return;
    const before = new Set(this.#resources.eqs.values());
    const end = this.hardware.now() + TURN_MS;
    const { completed, left } = this.#commands.ring(queue, mask, () => this.hardware.now() >= end);
    this.#unanswered = { queue, mask: ((this.#heldOf(queue) | mask) & ~completed) >>> 0 };
    if (left !== 0) this.#ringLater(queue, left);
    if (completed === 0) return;
    for (const eq of this.#resources.eqs.values()) {
      if (before.has(eq) && eq.wants(EVENT.COMMAND)) eq.post({ type: EVENT.COMMAND, data: completed });
    }
  }

  #ringLater(queue: bigint, mask: number): void {
    const isAsked = this.#left.mask !== 0;
    this.#left = { queue, mask: mask | (this.#left.queue === queue ? this.#left.mask : 0) };
    if (!isAsked) this.hardware.after(0, () => this.#ringLeft());
  }

  #ringLeft(): void {
    const { queue, mask } = this.#left;
    this.#left = { queue: 0n, mask: 0 };
    if (mask !== 0) this.#ring(queue, mask);
  }

  #heldOf(queue: bigint): number {
    return this.#unanswered.queue === queue ? this.#unanswered.mask : 0;
  }

  /** A driver that gave up on a command still waits for its entry (mlx5_cmd_comp_handler: "Command completion arrived after timeout"). */
  #answerLate(): void {
    const { queue, mask } = this.#unanswered;
    if (mask !== 0) this.#ring(queue, mask);
  }

  #execute(input: Buffer, output: Buffer): 'answered' | 'no answer' {
    const opcode = commandInput.get(input, 'opcode');
    const name = commandName(opcode) ?? `0x${opcode.toString(16)}`;
    const answer = runCommand(this, input, output);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    return answer;
  }
}

function configSpace({ isVirtualFunction, vpd }: NicParts): ConfigSpace {
  const device = isVirtualFunction ? 0x101e : 0x1023;
  const identity = { vendor: 0x15b3, device, subsystemVendor: 0x15b3, subsystemDevice: 0x0040, class: 0x020700 };
  const interrupts = msix({ vectors: VECTORS, bar: 0, table: MSIX_TABLE, pending: MSIX_PENDING });
  return new ConfigSpace(
    identity,
    [{ index: 0, size: BAR0_SIZE }],
    [pciExpress(), vitalProductData(() => vpd), interrupts],
    [accessControl()],
  );
}
