// What a NIC's port says. Its state asks the device; it is kept between events, because follow.ts reads the states besides and names the NICs whose
// port changed (docs/adr/0006).
import type { Host } from '../host/host.ts';
import { Errno, refused } from '../host/host.ts';
import { malformedAt } from '../host/malformed.ts';
import type { NicAttachment } from '../pci/nic.ts';
import { chargedTo, pathOfNic } from '../pci/nic.ts';
import type { Trigger } from './follow.ts';
import { named } from './follow.ts';
import type { NicSeen } from './snapshot.ts';

/** drivers/infiniband/core/sysfs.c, state_show; a later kernel may know more names. */
const STATE = /^\d{1,3}: ([A-Z_]{1,24})$/;

type PortSeen = Pick<NicSeen, 'linkLayer' | 'port'>;

interface Kept {
  readonly key: string;
  readonly seen: PortSeen;
}

interface KeptLayer {
  readonly key: string;
  readonly linkLayer: NonNullable<PortSeen['linkLayer']>;
}

export class PortObserver {
  readonly #host: Host;
  readonly #kept = new Map<string, Kept>();
  readonly #linkLayers = new Map<string, KeptLayer>();

  constructor(host: Host) {
    this.#host = host;
  }

  async observe(nic: NicAttachment): Promise<PortSeen> {
    const { id, rdmaDevice, driver } = nic;
    const path = pathOfNic(nic);
    if (rdmaDevice === undefined) return { linkLayer: undefined, port: undefined };
    const key = `${path} ${driver} ${rdmaDevice}`;
    const kept = this.#kept.get(id);
    if (kept?.key === key) return kept.seen;
    const device = `${path}/infiniband/${rdmaDevice}`;
    const seen = {
      linkLayer: this.#linkLayer(id, device),
      port: await this.#state(`${device}/ports/1`, chargedTo(nic)),
    };
    if (refused(seen.port)) this.#kept.delete(id);
    else this.#kept.set(id, { key, seen });
    return seen;
  }

  forget(trigger: Trigger | undefined): void {
    if (trigger?.kind !== 'uevents' && trigger?.kind !== 'ports') return this.#kept.clear();
    for (const id of named(trigger, this.#kept.keys())) this.#kept.delete(id);
  }

  /**
   * In memory (mlx5_ib_port_link_layer reads a capability), unlike the port's state, and the same as long as the RDMA device is: port types change with a
   * reset, which makes it anew, and sysfs a new directory for it.
   */
  #linkLayer(id: string, device: string): PortSeen['linkLayer'] {
    const identity = this.#host.sysfs.identity(device);
    if (refused(identity)) return undefined;
    const key = `${device} ${identity}`;
    const kept = this.#linkLayers.get(id);
    if (kept?.key === key) return kept.linkLayer;
    const linkLayer = this.#readLinkLayer(device);
    // What could not be read is tried again.
    if (linkLayer !== undefined) this.#linkLayers.set(id, { key, linkLayer });
    return linkLayer;
  }

  #readLinkLayer(device: string): PortSeen['linkLayer'] {
    const bytes = this.#host.sysfs.read(`${device}/ports/1/link_layer`);
    const text = refused(bytes) ? undefined : bytes.toString('latin1').trim();
    return text === 'InfiniBand' || text === 'Ethernet' ? text : undefined;
  }

  /** mlx5 asks the firmware each time. The file says "4: ACTIVE" (drivers/infiniband/core/sysfs.c, state_show). */
  async #state(port: string, device: string): Promise<PortSeen['port']> {
    const file = `${port}/state`;
    const bytes = await this.#host.sysfs.readSlow(file, device);
    if (refused(bytes)) return bytes;
    const text = bytes.toString('latin1').trim();
    const [, state] = STATE.exec(text) ?? [];
    const { rule, found } = malformedAt(file, 0, 'a number and a state such as 4: ACTIVE', text);
    return state ?? new Errno('EBADMSG', 74, `/sys/${file}: expected ${rule}, got ${found}`);
  }
}
