// What sysfs shows of the functions of a node. Which there are, where, and who drives each is read in every round. The rest of a function changes
// only with those, or with an event about it, or when root writes to sysfs by hand: it is kept between events, and read again at a rescan.
import type { Files } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { ClassDevices } from '../pci/class-devices.ts';
import type { Attachment, NicAttachment, PciFunction, Virtuality } from '../pci/functions.ts';
import { devicesOf, listFunctions, readAttachment, readVirtuality } from '../pci/functions.ts';
import type { Trigger } from './follow.ts';

/** A NIC function and what is attached to it. */
export interface AttachedNic extends NicAttachment {
  readonly fn: PciFunction;
}

export interface FunctionsSeen {
  /** The same array as long as nothing came, went or moved. */
  readonly functions: readonly PciFunction[];
  readonly nics: readonly AttachedNic[];
  readonly dmas: readonly (Attachment & { readonly fn: PciFunction; readonly incarnation: string | undefined })[];
  readonly gpus: readonly (Attachment & { readonly fn: PciFunction })[];
}

interface Kept {
  /** Of the link to its driver: sysfs makes a new one whenever a driver takes a function. Undefined while none has it. */
  readonly incarnation: string | undefined;
  readonly attachment: Attachment;
  /** Of NICs. */
  readonly virtuality: Virtuality | undefined;
}

export class FunctionObserver {
  readonly #sysfs: Files;
  #functions: readonly PciFunction[] = [];
  /** By path: a function that was removed and came back elsewhere is another. */
  readonly #known = new Map<string, PciFunction>();
  readonly #kept = new Map<string, Kept>();
  #classes: ClassDevices;

  constructor(sysfs: Files) {
    this.#sysfs = sysfs;
    this.#classes = new ClassDevices(sysfs);
  }

  observe(): FunctionsSeen {
    const functions = this.#list();
    const ofKind = (kind: PciFunction['kind']): PciFunction[] => functions.filter((fn) => fn.kind === kind);
    this.#classes.renew();
    return {
      functions,
      nics: ofKind('nic').map((fn) => {
        const { attachment, virtuality = readVirtuality(this.#sysfs, fn) } = this.#attached(fn);
        return { fn, ...attachment, ...virtuality, ...devicesOf(fn, this.#classes) };
      }),
      dmas: ofKind('dma').map((fn) => {
        const { attachment, incarnation } = this.#attached(fn);
        return { fn, ...attachment, incarnation };
      }),
      gpus: ofKind('gpu').map((fn) => ({ fn, ...this.#attached(fn).attachment })),
    };
  }

  forget(trigger: Trigger | undefined): void {
    if (trigger?.kind !== 'uevents' && trigger?.kind !== 'ports') {
      this.#known.clear();
      this.#kept.clear();
      this.#classes = new ClassDevices(this.#sysfs);
      return;
    }
    const named = new Set(trigger.functions);
    if (named.size === 0) return;
    // What has names of its own is numbered anew when a driver is loaded anew.
    this.#classes = new ClassDevices(this.#sysfs);
    for (const [path, { address }] of this.#known) {
      if (!named.has(address)) continue;
      this.#known.delete(path);
      this.#kept.delete(path);
    }
  }

  #list(): readonly PciFunction[] {
    const functions = listFunctions(this.#sysfs, this.#known);
    const before = this.#functions;
    if (functions.length === before.length && functions.every((fn, index) => fn === before[index])) return before;
    this.#functions = functions;
    this.#known.clear();
    for (const fn of functions) this.#known.set(fn.path, fn);
    for (const path of this.#kept.keys()) if (!this.#known.has(path)) this.#kept.delete(path);
    return functions;
  }

  #attached(fn: PciFunction): Kept {
    const identity = this.#sysfs.identity(`${fn.path}/driver`);
    const incarnation = refused(identity) ? undefined : identity;
    const kept = this.#kept.get(fn.path);
    if (kept && kept.incarnation === incarnation) return kept;
    const attachment = readAttachment(this.#sysfs, fn);
    const virtuality = fn.kind === 'nic' ? readVirtuality(this.#sysfs, fn) : undefined;
    const seen = { incarnation, attachment, virtuality };
    this.#kept.set(fn.path, seen);
    return seen;
  }
}
