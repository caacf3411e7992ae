// One round: reads everything that bears on paths, through the host's door. It concludes nothing; assess.ts does.
// What reaches a device is read once and kept while nothing speaks against it: the VPD of a function, the kernel's answer about a NIC, a port's state.
import { isReadable } from '../binding/evidence.ts';
import type { Answer, Errno, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { sentenceOf } from '../host/malformed.ts';
import type { PciFunction } from '../pci/functions.ts';
import { mayHaveDataDirect, modelName } from '../pci/ids.ts';
import type { NicAttachment } from '../pci/nic.ts';
import { chargedTo, pathOfNic } from '../pci/nic.ts';
import type { Vpd } from '../pci/vpd.ts';
import { parseVpd, VpdError } from '../pci/vpd.ts';
import { askKernel } from './ask.ts';
import { assess } from './assess.ts';
import { defaultRouteInterfaces } from './default-route.ts';
import type { Trigger } from './follow.ts';
import { named } from './follow.ts';
import { AcsObserver } from './observe-acs.ts';
import { FirmwareObserver } from './observe-firmware.ts';
import { FunctionObserver } from './observe-functions.ts';
import { PortObserver } from './observe-ports.ts';
import type { Path, VerificationLevel } from './path.ts';
import type { DmaSeen, KernelSeen, NicSeen, Snapshot, VpdSeen } from './snapshot.ts';

export interface RoundOptions {
  /** Default: Probe. */
  readonly verification?: VerificationLevel;
  /**
   * What asked for the round. What is known about functions that events spoke of is not used again, and nothing at all after lost events. Without it
   * nothing is taken from the round before but VPDs.
   */
  readonly trigger?: Trigger;
  /**
   * Whether the kernel is asked again about functions of which no event has come. Default: unless uevents or ports asked for the round.
   * Whoever verifies at an interval of its own says false for the rescans between.
   */
  readonly reverify?: boolean;
}

/** Something read that holds as long as `key` stays the same. */
interface Kept<T> {
  readonly key: string;
  readonly value: T;
}

/** What every NIC of one round is seen against. */
interface Surroundings {
  readonly nics: ReadonlyMap<string, NicAttachment>;
  readonly defaultRoute: ReadonlySet<string>;
  readonly dmas: readonly Omit<DmaSeen, 'vpd'>[];
  /** What the kernel's answers depend on besides the NIC itself. */
  readonly pairable: string;
  readonly verification: VerificationLevel;
}

export class Observer {
  /** In the last round: files of the kernel's that were not as it writes them, a sentence each. */
  passedOver: readonly string[] = [];
  readonly #host: Host;
  readonly #vpds = new Map<string, Kept<Promise<VpdSeen>>>();
  readonly #answers = new Map<string, Kept<KernelSeen>>();

  readonly #functions: FunctionObserver;
  readonly #ports: PortObserver;
  readonly #acs: AcsObserver;
  readonly #firmware: FirmwareObserver;

  constructor(host: Host) {
    this.#host = host;
    this.#functions = new FunctionObserver(host.sysfs);
    this.#ports = new PortObserver(host);
    this.#acs = new AcsObserver(host);
    this.#firmware = new FirmwareObserver(host);
  }

  /** Never fails because of a device: what is wrong with one becomes the reason of its path. */
  async round(options: RoundOptions = {}): Promise<Path[]> {
    const snapshot = await this.observe(options);
    this.passedOver = snapshot.malformed.map(sentenceOf);
    return assess(snapshot);
  }

  async observe({ verification = 'Probe', trigger, reverify }: RoundOptions = {}): Promise<Snapshot> {
    this.#forget(trigger, reverify);
    const { sysfs, proc } = this.#host;
    const { functions, nics: attachedNics, dmas, gpus, malformed: inFunctions } = this.#functions.observe();
    const malformed = [...inFunctions];
    this.#doubt(trigger, dmas);
    const surroundings: Surroundings = {
      nics: new Map(attachedNics.map((nic) => [nic.id, nic])),
      defaultRoute: defaultRouteInterfaces(proc, sysfs, (each) => malformed.push(each)),
      dmas,
      pairable: JSON.stringify(dmas.map((dma) => [dma.fn.path, dma.driver, dma.incarnation])),
      verification,
    };
    const [nics, dmasSeen, acs] = await Promise.all([
      Promise.all(attachedNics.map((nic) => this.#nic(nic, surroundings))),
      Promise.all(
        dmas.map(async (dma): Promise<DmaSeen> => ({ ...dma, vpd: await this.#vpd(dma.fn, dma.incarnation) })),
      ),
      this.#acs.observe(functions),
    ]);
    return {
      functions,
      nics: await this.#firmware.observe(nics, dmasSeen),
      dmas: dmasSeen,
      gpus,
      ...acs,
      rdmaNamespacesShared: this.#rdmaNamespacesShared(),
      malformed,
    };
  }

  async #nic(attached: NicAttachment, surroundings: Surroundings): Promise<NicSeen> {
    const physical = surroundings.nics.get(attached.physicalFunction ?? '') ?? attached;
    const model = modelName(physical.fn.device);
    const eligible = surroundings.dmas.length > 0 && mayHaveDataDirect(model);
    return {
      ...attached,
      model,
      defaultRoute: attached.netdevs.some((name) => surroundings.defaultRoute.has(name)),
      vpd: eligible ? await this.#vpd(physical.fn, physical.driver) : undefined,
      ...(await this.#ports.observe(attached)),
      kernel: eligible ? await this.#kernel(attached, surroundings) : undefined,
      firmware: undefined,
    };
  }

  async #kernel(nic: NicAttachment, around: Surroundings) {
    const { id, uverbs, rdmaDevice } = nic;
    if (uverbs === undefined) return undefined;
    const key = `${pathOfNic(nic)} ${uverbs} ${rdmaDevice} ${around.verification} ${around.pairable}`;
    const kept = this.#answers.get(id);
    if (kept?.key === key) return kept.value;
    const value = await askKernel(this.#host, { device: chargedTo(nic), uverbs }, around.verification);
    if (value.refusal) this.#answers.delete(id);
    else this.#answers.set(id, { key, value });
    return value;
  }

  /**
   * Read anew when a driver took the function anew, as the driver reads it anew at its probe. What could not be read is tried again. Once for all
   * VFs of a PF, which ask at the same time: a device gives its VPD in pieces of four bytes.
   */
  #vpd({ address, path }: PciFunction, driven: string | undefined): Promise<VpdSeen> {
    const key = `${path} ${driven}`;
    const kept = this.#vpds.get(address);
    if (kept?.key === key) return kept.value;
    const value = this.#readVpd(path, address);
    this.#vpds.set(address, { key, value });
    return value;
  }

  async #readVpd(path: string, address: string): Promise<VpdSeen> {
    const seen = parse(await this.#host.sysfs.readSlow(`${path}/vpd`, address), `/sys/bus/pci/devices/${address}/vpd`);
    if (!isReadable(seen) || seen.broken) this.#vpds.delete(address);
    return seen;
  }

  #rdmaNamespacesShared(): boolean | undefined {
    const bytes = this.#host.sysfs.read('module/ib_core/parameters/netns_mode');
    const text = refused(bytes) ? '' : bytes.toString('latin1').trim();
    return text === 'Y' || text === 'N' ? text === 'Y' : undefined;
  }

  #forget(trigger: Trigger | undefined, reverify = trigger?.kind !== 'uevents' && trigger?.kind !== 'ports'): void {
    if (reverify || trigger?.kind === 'gap') this.#answers.clear();
    if (trigger?.kind === 'gap') this.#vpds.clear();
    this.#functions.forget(trigger);
    this.#ports.forget(trigger);
    this.#firmware.forget(trigger, reverify);
    if (trigger?.kind === 'ports') return;
    this.#acs.forget(trigger);
    if (trigger?.kind !== 'uevents') return;
    for (const address of trigger.functions) this.#vpds.delete(address);
    for (const id of named(trigger, this.#answers.keys())) this.#answers.delete(id);
  }

  /**
   * The driver's link is there before its probe pairs anything, and gone before its removal ends the pairs (really_probe and
   * __device_release_driver of drivers/base/dd.c). What the kernel said between names the link of afterwards; the event comes when it is done.
   */
  #doubt(trigger: Trigger | undefined, dmas: Surroundings['dmas']): void {
    if (trigger?.kind !== 'uevents') return;
    const changed = new Set(dmas.map(({ fn }) => fn.address).filter((address) => trigger.functions.includes(address)));
    if (changed.size === 0) return;
    for (const [nic, { value }] of this.#answers) {
      const dma = value.answer?.dma;
      if (dma === undefined || changed.has(dma)) this.#answers.delete(nic);
    }
  }
}

function parse(bytes: Answer<Buffer>, file: string): Vpd | VpdError | Errno {
  if (refused(bytes)) return bytes;
  try {
    return parseVpd(bytes, file);
  } catch (error) {
    if (error instanceof VpdError) return error;
    throw error;
  }
}
