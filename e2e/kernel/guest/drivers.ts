// The drivers of the guest's virtual adapters: load, unload, bind, unbind, and put everything back as cases expect to find it.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { eventually } from './eventually.ts';
import { shell } from './shell.ts';

const devices = '/sys/bus/pci/devices';
/** Without a cache of memory keys (prof_sel=0), which Linux 6.12 fills by 6000 commands. ib_uverbs is no dependency of mlx5_ib in 7.3. */
const load = 'modprobe mlx5_core prof_sel=0; modprobe ib_uverbs; modprobe mlx5_ib';
const unload = 'rmmod mlx5_ib; rmmod ib_uverbs; rmmod mlx5_core';

type Driver = 'mlx5_core' | 'mlx5_ib';

/** Functions by their PCI addresses. */
export interface Adapters {
  readonly nics: readonly string[];
  readonly dmaFunctions: readonly string[];
}

export const drivers = {
  async load(): Promise<void> {
    await shell(load);
  },

  async unload(): Promise<void> {
    await shell(unload);
  },

  bind(address: string): void {
    const driver = ownDriver(address);
    // A probe that fails is told in the kernel's log alone.
    if (!isBound(address, driver)) attempt(() => writeFileSync(`/sys/bus/pci/drivers/${driver}/bind`, address));
  },

  unbind(address: string): void {
    const driver = ownDriver(address);
    if (isBound(address, driver)) writeFileSync(`/sys/bus/pci/drivers/${driver}/unbind`, address);
  },

  rebind(address: string): void {
    drivers.unbind(address);
    drivers.bind(address);
  },

  /** The function leaves as if the bus had been told to forget it. */
  remove(address: string): void {
    writeFileSync(`${devices}/${address}/remove`, '1');
  },

  rescan(): void {
    writeFileSync('/sys/bus/pci/rescan', '1');
  },

  /** The NIC's uverbs node, such as uverbs0. */
  uverbsOf,

  /** Once every function has its driver and every NIC its uverbs node. */
  async settle(adapters: Adapters): Promise<void> {
    const all = [...adapters.nics, ...adapters.dmaFunctions];
    if (all.some((address) => !existsSync(`${devices}/${address}`))) drivers.rescan();
    if (!existsSync('/sys/module/mlx5_ib') || !existsSync('/sys/module/ib_uverbs')) await drivers.load();
    for (const address of all) drivers.bind(address);
    await eventually('the drivers', () => {
      const missing = adapters.dmaFunctions.filter((address) => !isBound(address, 'mlx5_ib'));
      const waiting = adapters.nics.filter((address) => uverbsOf(address) === undefined);
      return [...missing, ...waiting].join(', ');
    });
  },
};

function ownDriver(address: string): Driver {
  const id = readFileSync(`${devices}/${address}/device`, 'latin1').trim();
  return id === '0x2100' ? 'mlx5_ib' : 'mlx5_core';
}

function isBound(address: string, driver: Driver): boolean {
  return existsSync(`/sys/bus/pci/drivers/${driver}/${address}`);
}

function uverbsOf(address: string): string | undefined {
  const nodes = attempt(() => readdirSync(`${devices}/${address}/infiniband_verbs`)) ?? [];
  return nodes.find((name) => existsSync(`/dev/infiniband/${name}`));
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
