// All cases on one kernel, in two machines one after the other: with stand-ins where adapters will be, and with virtual ConnectX-8 adapters.

import { describe } from 'vitest';
import { oneDomain } from '../topologies.ts';
import type { KernelSeries } from '../versions.ts';
import { abiCheck } from './abi-check.ts';
import { bindings } from './bindings.ts';
import { booted } from './booted.ts';
import { dataPath } from './data-path.ts';
import { discovery } from './discovery.ts';
import { firmware } from './firmware.ts';
import { linuxHost } from './linux-host.ts';
import { liveFaults } from './live-faults.ts';
import { machineItself } from './machine-itself.ts';
import { modules } from './modules.ts';
import { nicAnswers } from './nic-answers.ts';
import { pairing } from './pairing.ts';
import { registration } from './registration.ts';
import { softwareDevice } from './software-device.ts';
import { standIns, topology } from './topology.ts';
import { trayEndings } from './tray-endings.ts';
import { vpdOfDmaFunction } from './vpd.ts';
import { withTray } from './with-tray.ts';

/** A PCI function that the rig itself does not need: the cases bind and unbind it. */
const spare = { address: '0000:00:10.0', device: { driver: 'virtio-rng-pci', addr: '10' } };

export function onKernel(kernel: KernelSeries): void {
  /** driver-core's host and its verbs, the machine's PCI tree, and the rig. */
  describe.each([kernel])('%s', () => {
    const machine = booted(() => ({
      kernel,
      iommu: 'passthrough',
      topology: oneDomain([{ oneGroup: true }, { oneGroup: false }]),
      bridgeIds: 'nvidia',
      otherDevices: [...standIns, spare.device],
    }));
    linuxHost(machine, spare.address);
    topology(machine);
    softwareDevice(machine);
    abiCheck(machine, spare.address);
    machineItself(machine, kernel);
  });

  /** driver-core on the stock drivers. */
  describe.each([kernel])('%s', () => {
    const tray = withTray(kernel);
    discovery(tray);
    registration(tray);
    pairing(tray);
    bindings(tray);
    liveFaults(tray);
    modules(tray, kernel);
    nicAnswers(tray, kernel);
    firmware(tray);
    vpdOfDmaFunction(tray);
    dataPath(tray);
    trayEndings(tray, kernel);
  });
}
