// The trays that are measured: four ConnectX-8 with their DMA functions and GPUs, 40 PCI functions; and the same with 64 VFs on each NIC, 296.

import { createVirtualHost, type VirtualHost } from '@data-direct/driver-core';
import { dataDirectComplex } from '../../../driver-core/fixtures/source/complexes.ts';
import { type FunctionSource, machine } from '../../../driver-core/fixtures/source/function.ts';
import {
  connectx8Nic,
  GRACE_ROOT_PORT,
  rootPort,
  virtualFunction,
  vuidOf,
} from '../../../driver-core/fixtures/source/parts.ts';
import { parseFixture } from '../../../driver-core/src/virtual/fixture.ts';

export interface Tray {
  readonly name: string;
  readonly functions: number;
  readonly host: () => VirtualHost;
}

const NICS = [
  { nicDomain: '0000', dmaDomain: '0009', numaNode: 0 },
  { nicDomain: '0002', dmaDomain: '0008', numaNode: 0 },
  { nicDomain: '0010', dmaDomain: '0019', numaNode: 1 },
  { nicDomain: '0012', dmaDomain: '0018', numaNode: 1 },
] as const;
const ISOLATED = '0011101';
const linkLayer = 'InfiniBand';
/** Functions of the slot before the VFs. */
const FIRST_VF = 2;

export const TRAYS: readonly Tray[] = [tray(0), tray(64)];

function tray(virtualFunctions: number): Tray {
  const entries = machine({ kernelRelease: '6.14.0-1015-nvidia-64k', pageSize: 65_536 }, roots(virtualFunctions));
  const functions = entries.length - 1; // the first is the node itself
  const fixture = parseFixture(`${functions} functions`, entries);
  return { name: fixture.source, functions, host: () => createVirtualHost(fixture) };
}

function roots(virtualFunctions: number): FunctionSource[] {
  return NICS.flatMap(({ nicDomain, dmaDomain, numaNode }, index) => {
    const serial = `VT2547VIRT60${index}`;
    const slot = { iommuGroup: 10 + index, numaNode, linkLayer } as const;
    const nic = connectx8Nic({
      ...slot,
      address: `${nicDomain}:01:00.0`,
      serial,
      rdmaDevice: `mlx5_${index}`,
      netdev: `ib${index}`,
      ...(virtualFunctions > 0 && { sriov: { count: virtualFunctions, offset: FIRST_VF } }),
    });
    const vfs = Array.from({ length: virtualFunctions }, (_, vf) =>
      virtualFunction({
        ...slot,
        address: `${nicDomain}:01:${deviceAndFunction(FIRST_VF + vf)}`,
        rdmaDevice: `mlx5_${NICS.length + index * virtualFunctions + vf}`,
        vuid: vuidOf(serial),
      }),
    );
    const port = { iommuGroup: slot.iommuGroup, numaNode, address: `${nicDomain}:00:00.0`, ids: GRACE_ROOT_PORT };
    return [
      rootPort({ ...port, acs: ISOLATED, below: [nic, ...vfs] }),
      dataDirectComplex({ domain: dmaDomain, place: { iommuGroup: 30 + index, numaNode } }, serial, index),
    ];
  });
}

/** Of a routing id on one bus. */
function deviceAndFunction(id: number): string {
  return `${(id >> 3).toString(16).padStart(2, '0')}.${id & 7}`;
}
