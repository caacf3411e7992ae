// The one table of versions of the kernel rig. All of it comes from Debian; the exact versions that were fetched are
// recorded beside the files (packages.json) and printed at each boot.

export interface KernelSource {
  readonly suite: Suite;
  /** Modules that the kernel asks modprobe for by itself, so that no `depends` names them. */
  readonly askedByName: readonly string[];
}

export const suites = ['trixie', 'trixie-backports'] as const;
export type Suite = (typeof suites)[number];

export type KernelSeries = '6.12' | '7.3';

/** 6.12 is the first series with Data Direct, 7.3 the newest that Debian has. */
export const kernels: Readonly<Record<KernelSeries, KernelSource>> = {
  // drivers/infiniband/sw/rxe of 6.12 asks the crypto layer for "crc32"; 7.3 calls a library.
  '6.12': { suite: 'trixie', askedByName: ['crc32_generic'] },
  '7.3': { suite: 'trixie-backports', askedByName: [] },
};

export const kernelSeries = Object.keys(kernels) as readonly KernelSeries[];

/** The first series with a vfio-user client is 10.1; trixie itself has 10.0. */
export const qemu = { suite: 'trixie-backports', series: '11.1' } as const satisfies { suite: Suite; series: string };

/** Of the guest's user space: libraries for Node, and libibverbs with libmlx5 for data through a memory region. */
export const guestSuite: Suite = 'trixie';

/** Modules that a guest may be asked to load, with all that they depend on. */
export const modules: readonly string[] = [
  '9p',
  '9pnet_virtio',
  'dummy',
  'rdma_rxe',
  'ib_uverbs',
  'mlx5_core',
  'mlx5_ib',
];
