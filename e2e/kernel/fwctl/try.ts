// driver-core on the real fwctl of Linux 7.3 with a tray of virtual ConnectX-8 adapters, and that kernel's answers beside those of the virtual host. Not in the
// suite: Debian builds no fwctl, and to build it takes 300 MB of packages and root. Ends with 1 where anything differs.

import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createVirtualHost, loadFixture } from '@data-direct/driver-core';
import * as abi from '../../../driver-core/src/verbs/abi.ts';
import { ADDRESS, TrayMachine } from '../tray-machine.ts';
import { ensureFwctlModules, MODULES } from './modules.ts';
import { askFwctl, type FwctlGuest } from './requests.ts';

const tell = (line: string): void => console.log(line);
/** MLX5_UCTX_OBJECT_CAP_TOOLS_RESOURCES: only a NIC that has capabilities for user contexts is given to fwctl (mlx5/core/dev.c). */
const UCTX_CAP = 4;

async function main(): Promise<boolean> {
  const modules = await ensureFwctlModules(tell);
  const adapters = await TrayMachine.start('7.3', { report: tell });
  try {
    await adapters.restore();
    await adapters.setFaults('nic0', { capabilities: { uctx_cap: UCTX_CAP } });
    await adapters.rebind('nic0');
    for (const module of MODULES) {
      await copyFile(join(modules, module), join(adapters.machine.work, module));
      await adapters.machine.shell(`insmod /work/${module}`);
    }
    const told = (await isTold(adapters)) && (await isAskedInstead(adapters));
    const real = await adapters.run(askFwctl, [ADDRESS.nic0]);
    return compared(real, await askFwctl(await twin(), ADDRESS.nic0)) && told;
  } finally {
    await adapters.end();
  }
}

/** Both ways to the firmware say the same. */
async function isTold({ machine }: TrayMachine): Promise<boolean> {
  const verified = await machine.shell(`data-direct verify ${ADDRESS.nic0}`);
  tell(verified);
  return /OK +capabilities through fwctl +data_direct 1/.test(verified) && /OK +VUID through fwctl/.test(verified);
}

/** Where the uverbs node cannot be opened. */
async function isAskedInstead({ machine }: TrayMachine): Promise<boolean> {
  const node = '/dev/infiniband/uverbs0';
  const seen = await machine.shell(`mv ${node} /dev/aside; data-direct topo; mv /dev/aside ${node}`);
  tell(seen);
  return new RegExp(`${ADDRESS.nic0} .* ${ADDRESS.dma0} .* FirmwareVuid`).test(seen);
}

async function twin(): Promise<FwctlGuest> {
  const fixture = await loadFixture('one-domain');
  const host = createVirtualHost({ ...fixture, extension: { ...fixture.extension!, fwctl: true } });
  const unbind = (address: string): void =>
    host.alter((kernel) => {
      const nic = kernel.hardware.get(address);
      if (nic) kernel.unbind(nic);
    });
  return { openLinuxHost: async () => host, verbs: { abi }, drivers: { unbind } } as unknown as FwctlGuest;
}

function compared(real: Readonly<Record<string, string>>, virtual: Readonly<Record<string, string>>): boolean {
  tell(`${'request'.padEnd(56)}Linux 7.3    virtual`);
  for (const [what, answer] of Object.entries(real))
    tell(
      `${what.padEnd(56)}${answer.padEnd(13)}${virtual[what] ?? 'not asked'}${answer === virtual[what] ? '' : '   differs'}`,
    );
  return Object.entries(real).every(([what, answer]) => virtual[what] === answer);
}

process.exitCode = (await main()) ? 0 : 1;
