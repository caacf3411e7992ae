// What the kernel has made of PCI functions in its classes: RDMA devices, their nodes, network interfaces. Read from /sys/class, where each is one
// link; below the functions they stand in a directory for each class, and with many VFs to list those is most of a round.
import type { Files } from '../host/host.ts';
import { refused } from '../host/host.ts';

/** How the names of a class begin, where others stand beside them: infiniband_mad also holds issmN, the subnet manager's claim on the port. */
const CLASSES = {
  infiniband: '',
  infiniband_verbs: 'uverbs',
  infiniband_mad: 'umad',
  fwctl: 'fwctl',
  net: '',
} as const;

type Class = keyof typeof CLASSES;

/** How every link of a class begins. */
const UP = '../../';

interface Known {
  readonly names: string;
  /** By the path of the function, which is below the sysfs root. */
  readonly byFunction: ReadonlyMap<string, readonly string[]>;
}

/** As they stand at the first question for each class. */
export class ClassDevices {
  readonly #sysfs: Pick<Files, 'list' | 'link' | 'read'>;
  readonly #known = new Map<Class, Known>();
  /** RDMA devices by their nodes. */
  readonly #rdmaDevices = new Map<string, string | undefined>();

  constructor(sysfs: Pick<Files, 'list' | 'link' | 'read'>) {
    this.#sysfs = sysfs;
  }

  /** Sorted by name. */
  of({ path }: { readonly path: string }, name: Class): readonly string[] {
    const known = this.#known.get(name) ?? this.#read(name, this.#list(name));
    return known.byFunction.get(path) ?? [];
  }

  /** Whose node it is: uverbs0 or umad0. */
  rdmaDeviceOf(name: 'infiniband_verbs' | 'infiniband_mad', node: string): string | undefined {
    if (!this.#rdmaDevices.has(node)) {
      const ibdev = this.#sysfs.read(`class/${name}/${node}/ibdev`);
      this.#rdmaDevices.set(node, refused(ibdev) ? undefined : ibdev.toString('utf8').trim());
    }
    return this.#rdmaDevices.get(node);
  }

  /** Classes that have other names in them by now are read anew. */
  renew(): void {
    for (const [name, { names }] of this.#known) {
      const listed = this.#list(name);
      if (listed.join('/') === names) continue;
      this.#read(name, listed);
      this.#rdmaDevices.clear();
    }
  }

  #list(name: Class): string[] {
    const devices = this.#sysfs.list(`class/${name}`);
    return refused(devices) ? [] : devices.filter((device) => device.startsWith(CLASSES[name]));
  }

  #read(name: Class, devices: readonly string[]): Known {
    const byFunction = new Map<string, string[]>();
    for (const device of devices) {
      const parent = this.#parent(name, device);
      if (parent === undefined) continue;
      const siblings = byFunction.get(parent);
      if (siblings) siblings.push(device);
      else byFunction.set(parent, [device]);
    }
    const known = { names: devices.join('/'), byFunction };
    this.#known.set(name, known);
    return known;
  }

  /** Where it hangs: …/<class>/<device> below it. The kernel writes the link from here to there (fs/sysfs/symlink.c). */
  #parent(name: Class, device: string): string | undefined {
    const target = this.#sysfs.link(`class/${name}/${device}`);
    const end = `/${name}/${device}`;
    return !refused(target) && target.startsWith(UP) && target.endsWith(end)
      ? target.slice(UP.length, -end.length)
      : undefined;
  }
}
