// What sysfs shows of the functions of a node. Which there are, where, and who drives each is read in every round. The rest of a function changes
// only with those, or with an event about it, or when root writes to sysfs by hand: it is kept between events, and what root can write is read again
// at a rescan.
import type { Files } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { Malformed } from '../host/malformed.ts';
import { ClassDevices } from '../pci/class-devices.ts';
import type { Attachment, PciFunction, Virtuality } from '../pci/functions.ts';
import { devicesOf, listFunctions, readDriver, readPlacement, readVirtuality } from '../pci/functions.ts';
import type { NicAttachment } from '../pci/nic.ts';
import type { SubFunction } from '../pci/sub-functions.ts';
import { listSubFunctions } from '../pci/sub-functions.ts';
import type { Trigger } from './follow.ts';

export interface FunctionsSeen {
  /** The same array as long as nothing came, went or moved. */
  readonly functions: readonly PciFunction[];
  /** Each PF with its SFs right behind it. */
  readonly nics: readonly NicAttachment[];
  readonly dmas: readonly (Attachment & { readonly fn: PciFunction; readonly incarnation: string | undefined })[];
  readonly gpus: readonly (Attachment & { readonly fn: PciFunction })[];
  readonly malformed: readonly Malformed[];
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
  /** By address. */
  readonly #known = new Map<string, PciFunction>();
  /** By path: a function that was removed and came back elsewhere is another. */
  readonly #kept = new Map<string, Kept>();
  /** Paths of functions whose placement is to be read again. */
  readonly #unplaced = new Set<string>();
  /** What this round found so far, by path. */
  readonly #incarnations = new Map<string, string | undefined>();
  /** What is wrong in what is kept, by path. */
  readonly #malformed = new Map<string, readonly Malformed[]>();
  #classes: ClassDevices;
  /** By the path of their PF. Undefined: not looked for since something happened to a function. */
  #subFunctions: ReadonlyMap<string, readonly SubFunction[]> | undefined;

  constructor(sysfs: Files) {
    this.#sysfs = sysfs;
    this.#classes = new ClassDevices(sysfs);
  }

  observe(): FunctionsSeen {
    const malformed: Malformed[] = [];
    const functions = this.#list(malformed);
    const ofKind = (kind: PciFunction['kind']): PciFunction[] => functions.filter((fn) => fn.kind === kind);
    this.#classes.renew();
    return {
      functions,
      nics: ofKind('nic').flatMap((fn) => this.#nicsAt(fn)),
      dmas: ofKind('dma').map((fn) => {
        const { attachment, incarnation } = this.#attached(fn);
        return { fn, ...attachment, incarnation };
      }),
      gpus: ofKind('gpu').map((fn) => ({ fn, ...this.#attached(fn).attachment })),
      malformed: [...malformed, ...[...this.#malformed].flatMap(([path, some]) => (this.#kept.has(path) ? some : []))],
    };
  }

  #nicsAt(fn: PciFunction): NicAttachment[] {
    const { attachment, virtuality = readVirtuality(this.#sysfs, fn) } = this.#attached(fn);
    const devices = devicesOf(fn, this.#classes);
    const nic = { id: fn.address, fn, subFunction: undefined, ...attachment, ...virtuality, ...devices };
    return [nic, ...this.#subFunctionsOf(fn).map((each) => this.#subFunction(each, attachment))];
  }

  /** Its NUMA node and iommu group are those of its PF, by whose PCI address its DMA goes. */
  #subFunction(subFunction: SubFunction, { numaNode, iommuGroup }: Attachment): NicAttachment {
    const { id, pf, path } = subFunction;
    return {
      id,
      fn: pf,
      subFunction,
      driver: readDriver(this.#sysfs, path),
      numaNode,
      iommuGroup,
      function: 'SF',
      physicalFunction: pf.address,
      ...devicesOf(subFunction, this.#classes),
    };
  }

  /** One that comes or goes makes an event about its PF. */
  #subFunctionsOf({ path }: PciFunction): readonly SubFunction[] {
    this.#subFunctions ??= Map.groupBy(listSubFunctions(this.#sysfs, this.#functions), ({ pf }) => pf.path);
    return this.#subFunctions.get(path) ?? [];
  }

  forget(trigger: Trigger | undefined): void {
    this.#incarnations.clear();
    if (trigger?.kind === 'rescan') return this.#doubt();
    if (trigger?.kind !== 'uevents' && trigger?.kind !== 'ports') {
      this.#known.clear();
      this.#kept.clear();
      this.#classes = new ClassDevices(this.#sysfs);
      this.#subFunctions = undefined;
      return;
    }
    if (trigger.functions.length === 0) return;
    this.#subFunctions = undefined;
    // What has names of its own is numbered anew when a driver is loaded anew.
    this.#classes = new ClassDevices(this.#sysfs);
    for (const address of trigger.functions) this.#forgetAt(address);
  }

  /**
   * Whatever happened unheard, what cannot change while a function and its driver last stays known: the function's ids, its PF, the driver's name.
   */
  #doubt(): void {
    this.#classes = new ClassDevices(this.#sysfs);
    this.#subFunctions = undefined;
    for (const fn of this.#known.values()) {
      if (this.#isStill(fn)) this.#unplaced.add(fn.path);
      else this.#forgetAt(fn.address);
    }
  }

  #forgetAt(address: string): void {
    const fn = this.#known.get(address);
    if (!fn) return;
    this.#known.delete(address);
    this.#kept.delete(fn.path);
  }

  #list(malformed: Malformed[]): readonly PciFunction[] {
    const known = { byAddress: this.#known, isStill: (fn: PciFunction) => this.#isStill(fn) };
    const functions = listFunctions(this.#sysfs, known, (each) => malformed.push(each));
    const before = this.#functions;
    const same = functions.length === before.length && functions.every((fn, index) => isSame(fn, before[index]));
    if (same && this.#known.size === before.length) return before;
    if (!same) {
      this.#functions = functions;
      this.#subFunctions = undefined;
    }
    this.#known.clear();
    for (const fn of this.#functions) this.#known.set(fn.address, fn);
    const paths = new Set(this.#functions.map(({ path }) => path));
    for (const path of this.#kept.keys()) if (!paths.has(path)) this.#kept.delete(path);
    return this.#functions;
  }

  #attached(fn: PciFunction): Kept {
    const incarnation = this.#incarnation(fn.path);
    const kept = this.#kept.get(fn.path);
    const same = kept && kept.incarnation === incarnation ? kept : undefined;
    const placed = !this.#unplaced.delete(fn.path);
    if (same && placed) return same;
    const malformed: Malformed[] = [];
    const placement = readPlacement(this.#sysfs, fn, (each) => malformed.push(each));
    const seen = {
      incarnation,
      attachment: { driver: same ? same.attachment.driver : readDriver(this.#sysfs, fn.path), ...placement },
      virtuality: same ? same.virtuality : fn.kind === 'nic' ? readVirtuality(this.#sysfs, fn) : undefined,
    };
    if (malformed.length > 0) this.#malformed.set(fn.path, malformed);
    else this.#malformed.delete(fn.path);
    this.#kept.set(fn.path, seen);
    return seen;
  }

  /** A driver's link that is still the same belongs to a function that is: the link would have gone with either. */
  #isStill({ path }: PciFunction): boolean {
    const incarnation = this.#kept.get(path)?.incarnation;
    return incarnation !== undefined && incarnation === this.#incarnation(path);
  }

  #incarnation(path: string): string | undefined {
    if (this.#incarnations.has(path)) return this.#incarnations.get(path);
    const identity = this.#sysfs.identity(`${path}/driver`);
    const incarnation = refused(identity) ? undefined : identity;
    this.#incarnations.set(path, incarnation);
    return incarnation;
  }
}

function isSame(fn: PciFunction, before: PciFunction | undefined): boolean {
  if (fn === before) return true;
  return (
    fn.path === before?.path && fn.vendor === before.vendor && fn.device === before.device && fn.class === before.class
  );
}
