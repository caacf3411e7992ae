// The ACS bits of the ports that have a part in a path, and ATS of NICs where that decides what the bits should be: read from configuration space,
// and kept until something speaks against it. What the bits should be stands in acs.ts.
import type { Answer, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { acsControl, hasAts } from '../pci/config-space.ts';
import type { PciFunction } from '../pci/functions.ts';
import { isVirtualFunction } from '../pci/ids.ts';
import { portsOf } from '../pci/ports.ts';
import type { Topology } from '../pci/topology.ts';
import { topologyOf } from '../pci/topology.ts';
import type { Trigger } from './follow.ts';
import type { AcsSeen, Snapshot } from './snapshot.ts';

export class AcsObserver {
  readonly #host: Host;
  /** By path: a function that was removed and came back elsewhere is another. */
  readonly #control = new Map<string, AcsSeen>();
  readonly #ats = new Map<string, boolean | undefined>();

  constructor(host: Host) {
    this.#host = host;
  }

  async observe(functions: readonly PciFunction[]): Promise<Pick<Snapshot, 'acs' | 'nicsHaveAts'>> {
    const topology = topologyOf(functions);
    const ports = portsOf(functions, topology);
    const [acs, ats] = await Promise.all([
      Promise.all(ports.map(async ({ fn }) => [fn.address, await this.#acsOf(fn)] as const)),
      Promise.all(nicsBesideGpus(functions, topology).map((nic) => this.#hasAts(nic))),
    ]);
    return { acs: new Map(acs), nicsHaveAts: ats.every((each) => each === ats[0]) ? ats[0] : undefined };
  }

  /** ACS changes without a sound when somebody uses setpci: after anything but events it is read anew. */
  forget(trigger: Trigger | undefined): void {
    const ofFunctions = trigger?.kind === 'uevents' ? new Set(trigger.functions) : undefined;
    for (const kept of [this.#control, this.#ats]) {
      for (const path of kept.keys()) {
        if (ofFunctions?.has(path.slice(path.lastIndexOf('/') + 1)) ?? true) kept.delete(path);
      }
    }
  }

  async #acsOf({ path, address }: PciFunction): Promise<AcsSeen> {
    const kept = this.#control.get(path);
    if (kept !== undefined) return kept;
    const config = await this.#config(path, address);
    if (refused(config)) return config;
    const seen = acsControl(config);
    this.#control.set(path, seen);
    return seen;
  }

  async #hasAts({ path, address }: PciFunction): Promise<boolean | undefined> {
    if (this.#ats.has(path)) return this.#ats.get(path);
    const config = await this.#config(path, address);
    if (refused(config)) return undefined;
    const has = hasAts(config);
    this.#ats.set(path, has);
    return has;
  }

  #config(path: string, address: string): Promise<Answer<Buffer>> {
    return this.#host.sysfs.readSlow(`${path}/config`, address);
  }
}

function nicsBesideGpus(functions: readonly PciFunction[], topology: Topology): PciFunction[] {
  if (topology.platform !== 'Inline') return [];
  return functions.filter(
    (fn) =>
      fn.kind === 'nic' && !isVirtualFunction(fn.device) && topology.beside(fn).some(({ kind }) => kind === 'gpu'),
  );
}
