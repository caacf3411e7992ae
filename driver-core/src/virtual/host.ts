// A whole node in memory behind the host door: sysfs and proc as bytes, uverbs nodes that answer ioctl bytes, uevents, DMABUFs. It is made
// from a fixture and can be changed while it runs (changes.ts).
import { systemClock } from '../host/clock.ts';
import { Errno, refused } from '../host/host.ts';
import type { Answer, Clock, Device, Dmabuf, Files, Host, Uevent } from '../host/host.ts';
import { BlockingCalls } from './blocking.ts';
import { boundAtStart } from './derive.ts';
import type { Tree } from './filesystem.ts';
import type { Fixture } from './fixture.ts';
import { assemble } from './hardware.ts';
import { errno } from './kernel/errno.ts';
import { Kernel } from './kernel/kernel.ts';
import type { KernelSettings, NodeFile } from './kernel/kernel.ts';
import { proc, sysfs } from './tree.ts';
import { UeventChannel } from './uevent-channel.ts';
import { withhold } from './withheld.ts';

export interface VirtualHostOptions {
  readonly clock?: Clock;
  /** How long a call that reaches a wedged device is waited for. */
  readonly callBudgetMs?: number;
}

export function createVirtualHost(fixture: Fixture, options: VirtualHostOptions = {}): VirtualHost {
  return new VirtualHost(fixture, options);
}

export class VirtualHost implements Host {
  readonly clock: Clock;
  readonly pageSize: number;
  readonly kernelRelease: string;
  readonly sysfs: Files;
  readonly proc: Files;
  /** The machine's insides, for tests that look at the kernel's side. Changes go through `alter`. */
  readonly kernel: Kernel;
  readonly #uevents = new UeventChannel();
  readonly #calls: BlockingCalls;
  #losing = false;
  #sysfsTree: Tree | undefined;

  constructor(fixture: Fixture, options: VirtualHostOptions) {
    const settings = settingsOf(fixture);
    this.clock = options.clock ?? systemClock;
    this.pageSize = settings.pageSize;
    this.kernelRelease = settings.release;
    this.#calls = new BlockingCalls(this.clock, options.callBudgetMs ?? 2000);
    this.kernel = new Kernel(assemble(fixture), settings, (event) => {
      if (!this.#losing) this.#uevents.send(event);
    });
    this.kernel.rdmaNamespaces = fixture.extension?.rdmaNamespaces ?? 'shared';
    const bound = fixture.functions.filter((dumped) => boundAtStart(dumped));
    this.kernel.boot(bound.flatMap(({ address }) => this.kernel.hardware.get(address) ?? []));
    withhold(this.kernel, fixture.functions);
    this.sysfs = this.#files(() => this.sysfsTree);
    const routes = proc(this.kernel);
    this.proc = this.#files(() => routes);
  }

  /** /sys as it stands now. */
  get sysfsTree(): Tree {
    this.#sysfsTree ??= sysfs(this.kernel);
    return this.#sysfsTree;
  }

  /**
   * The one way to change the machine, so that nobody sees a stale tree. With `lose`, those who listen to uevents learn only that they
   * missed some.
   */
  alter<T>(change: (kernel: Kernel) => T, lose = false): T {
    this.#losing = lose;
    try {
      return change(this.kernel);
    } finally {
      this.#losing = false;
      this.#sysfsTree = undefined;
      if (lose) this.#uevents.gap();
      this.#calls.reconsider();
    }
  }

  openDevice(path: string, device: string): Promise<Answer<Device>> {
    const reached = this.kernel.functionBehind(path)?.address;
    return this.#calls.run({
      device,
      what: path,
      isWedged: () => this.#isWedged(reached),
      run: () => {
        const file = this.kernel.openNode(path);
        return refused(file) ? file : this.#device(file, { path, device, reached });
      },
    });
  }

  #device(
    file: NodeFile,
    { path, device, reached }: { path: string; device: string; reached: string | undefined },
  ): Device {
    let open = true;
    return {
      ioctl: (request, bytes, pointers) =>
        this.#calls.run({
          device,
          what: `ioctl on ${path}`,
          isWedged: () => this.#isWedged(reached),
          run: () => (open ? file.ioctl(request, bytes, pointers) : errno('EBADF', path)),
        }),
      close: () => {
        if (open) file.close();
        open = false;
        return Promise.resolve();
      },
    };
  }

  uevents(signal: AbortSignal): AsyncIterable<Uevent> {
    return this.#uevents.subscribe(signal);
  }

  /** Plain memory, as from /dev/udmabuf. */
  dmabuf(bytes: number): Promise<Answer<Dmabuf>> {
    return Promise.resolve(this.#dmabuf(this.kernel.dmabufs.create(bytes)));
  }

  /** GPU memory, exported as nvidia.ko does. */
  gpuDmabuf(gpu: string, bytes: number): Promise<Answer<Dmabuf>> {
    const exporter = this.kernel.hardware.get(gpu);
    const usable = exporter?.kind === 'gpu' && this.kernel.driverOf(exporter) !== undefined;
    return Promise.resolve(
      usable ? this.#dmabuf(this.kernel.dmabufs.create(bytes, exporter)) : errno('ENODEV', `GPU ${gpu}`),
    );
  }

  #dmabuf(fd: number): Dmabuf {
    return {
      fd,
      close: () => {
        this.kernel.dmabufs.close(fd);
        return Promise.resolve();
      },
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #isWedged(address: string | undefined): boolean {
    return address !== undefined && this.kernel.hardware.get(address)?.wedged === true;
  }

  #files(tree: () => Tree): Files {
    const read = (path: string): Answer<Buffer> => {
      const file = tree().open(path);
      if (refused(file)) return file;
      return file.fails === undefined ? Buffer.from(file.content) : new Errno(file.fails.code, file.fails.number, path);
    };
    const reachedBy = (path: string): string | undefined => {
      const file = tree().open(path);
      return refused(file) ? undefined : file.reaches;
    };
    return {
      list: (path) => tree().list(path),
      link: (path) => tree().readLink(path),
      identity: (path) => tree().identity(path),
      real: (path) => {
        const found = tree().resolve(path, true);
        return refused(found) ? found : found.path;
      },
      read: (path) => {
        if (this.#isWedged(reachedBy(path))) throw new Error(`reading ${path} would block for ever: use readSlow`);
        return read(path);
      },
      readSlow: (path, device) =>
        this.#calls.run({ device, what: path, isWedged: () => this.#isWedged(reachedBy(path)), run: () => read(path) }),
    };
  }
}

/** Linux 6.12 is the first release with the data direct series; vendors have it earlier, and their fixtures say so. */
function settingsOf({ extension }: Fixture): KernelSettings {
  const release = extension?.kernelRelease ?? '6.12.0';
  return {
    release,
    pageSize: extension?.pageSize ?? 4096,
    dataDirectSeries: extension?.dataDirectSeries ?? isAtLeast(release, 6, 12),
    onDemandPaging: extension?.onDemandPaging ?? true,
    // Not in 6.12, in 7.3; those between were not looked at.
    relaxedOrderingMkey: isAtLeast(release, 7, 3),
    fwctl: extension?.fwctl ?? false,
    defaultRoute: extension?.defaultRoute,
  };
}

function isAtLeast(release: string, leastMajor: number, leastMinor: number): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
