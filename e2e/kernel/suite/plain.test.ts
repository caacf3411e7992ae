// What needs no virtual ConnectX-8: driver-core's host and its verbs on real kernels, the machine's PCI tree, and the rig.

import { describe } from 'vitest';
import { oneDomain } from '../topologies.ts';
import { kernelSeries } from '../versions.ts';
import { abiCheck } from './abi-check.ts';
import { booted } from './booted.ts';
import { linuxHost } from './linux-host.ts';
import { machineItself } from './machine-itself.ts';
import { softwareDevice } from './software-device.ts';
import { standIns, topology } from './topology.ts';

/** A PCI function that the rig itself does not need: the cases bind and unbind it. */
const spare = { address: '0000:00:10.0', device: { driver: 'virtio-rng-pci', addr: '10' } };

describe.each(kernelSeries)('%s', (kernel) => {
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
