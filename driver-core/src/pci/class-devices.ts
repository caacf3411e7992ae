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

/** As they stand at the first question for each class. */
export class ClassDevices {
  readonly #sysfs: Files;
  /** Names by the path of the function, which is below the sysfs root. */
  readonly #known = new Map<Class, ReadonlyMap<string, string[]>>();

  constructor(sysfs: Files) {
    this.#sysfs = sysfs;
  }

  /** Sorted by name. */
  of({ path }: { readonly path: string }, name: Class): readonly string[] {
    const known = this.#known.get(name) ?? this.#read(name);
    this.#known.set(name, known);
    return known.get(path) ?? [];
  }

  #read(name: Class): Map<string, string[]> {
    const devices = this.#sysfs.list(`class/${name}`);
    const byFunction = new Map<string, string[]>();
    for (const device of refused(devices) ? [] : devices) {
      const parent = device.startsWith(CLASSES[name]) ? this.#parent(name, device) : undefined;
      if (parent === undefined) continue;
      const siblings = byFunction.get(parent);
      if (siblings) siblings.push(device);
      else byFunction.set(parent, [device]);
    }
    return byFunction;
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
