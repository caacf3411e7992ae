import { PATH_REASONS, stateOf } from '@data-direct/crds';
import { describe, expect, it } from 'vitest';

import { Errno } from '../host/host.ts';
import { VpdError } from '../pci/vpd.ts';
import type { VerbsCall } from '../verbs/errors.ts';
import { Refusal } from '../verbs/errors.ts';
import { assess } from './assess.ts';
import { CHECKS } from './checks.ts';
import type { Path } from './path.ts';
import type { FirmwareSeen, KernelSeen, Snapshot } from './snapshot.ts';
import * as tray from './tray.fixture.ts';

const errno = {
  EACCES: new Errno('EACCES', 13, 'open'),
  EPERM: new Errno('EPERM', 1, 'open'),
  EIO: new Errno('EIO', 5, 'ioctl'),
  ENOENT: new Errno('ENOENT', 2, 'open'),
  EINVAL: new Errno('EINVAL', 22, 'ioctl'),
  EPROTONOSUPPORT: new Errno('EPROTONOSUPPORT', 93, 'ioctl'),
  ETIMEDOUT: new Errno('ETIMEDOUT', 110, 'open'),
  EBUSY: new Errno('EBUSY', 16, 'open'),
};

/** The kernel refused a call before it could say anything of the pairing. */
function refusedAt(call: VerbsCall, code: keyof typeof errno): KernelSeen {
  return { answer: undefined, refusal: new Refusal(call, errno[code]), verified: 'None' };
}

/** The kernel named the DMA function and refused a later call. */
function pairedButRefused(call: VerbsCall, code: keyof typeof errno): KernelSeen {
  return { answer: { dma: '0009:03:00.0' }, refusal: new Refusal(call, errno[code]), verified: 'None' };
}

const pairedWithNone: KernelSeen = { answer: { dma: undefined }, refusal: undefined, verified: 'None' };
const CAPABLE = { dataDirect: true, queryVuid: true, crossingVhcaMkey: true, vhcaId: 1 };

function named(vuid: string): FirmwareSeen {
  return { question: 'asked by a test', capabilities: CAPABLE, vuid, refusals: [] };
}

/** Firmware that shows its capabilities and refuses the VUID. */
function able(changes: Partial<typeof CAPABLE>): FirmwareSeen {
  const refusals = [new Refusal('QUERY_VUID', new Errno('EREMOTEIO', 121, 'firmware status 0x2'))];
  return { question: 'asked by a test', capabilities: { ...CAPABLE, ...changes }, vuid: undefined, refusals };
}

const truncated = new VpdError(
  'VPD_TRUNCATED',
  { file: '/sys/bus/pci/devices/0009:03:00.0/vpd', offset: 26 },
  'VPD ends inside keyword VU at offset 0x1a: 12 bytes announced, 7 present',
);
const GPU_SLOT = tray.GPU_PATH.slice(0, -2);
const VF_PATH = tray.NIC_PATH.replace('03:00.0', '03:00.2');

function onlyPath(snapshot: Snapshot): Path {
  const [path, ...more] = assess(snapshot);
  if (!path || more.length > 0) throw new Error(`${more.length + 1} paths instead of one`);
  return path;
}

interface Row {
  readonly what: string;
  readonly seen: Snapshot;
  readonly reason: keyof typeof PATH_REASONS;
  /** What the sentence has to name. */
  readonly names: string;
}

const TABLE: readonly Row[] = [
  { what: 'everything is in place', seen: tray.snapshot(), reason: 'Paired', names: '0009:06:00.0' },
  {
    what: 'the DMA function runs the driver of Linux 7.4',
    seen: tray.withDma({ driver: 'mlx5_dd' }),
    reason: 'Paired',
    names: '0009:03:00.0',
  },
  {
    what: 'no VPD may be read but the kernel pairs',
    seen: tray.withDma({ vpd: errno.EACCES }, { vpd: errno.EACCES }),
    reason: 'Paired',
    names: 'mlx5_0 (0000:03:00.0)',
  },
  {
    what: 'the GPU has a companion function in its own slot',
    seen: tray.snapshot({ others: [...tray.BRIDGES, tray.stranger(`${GPU_SLOT}.1`)] }),
    reason: 'Paired',
    names: '0009:06:00.0',
  },
  {
    what: 'there is no IOMMU and so no group at all',
    seen: tray.snapshot({
      dmas: [tray.dmaAt(tray.DMA_PATH, { iommuGroup: undefined })],
      gpus: [tray.gpuAt(tray.GPU_PATH, { iommuGroup: undefined })],
    }),
    reason: 'Paired',
    names: '0009:06:00.0',
  },
  {
    what: 'the NIC has no driver',
    seen: tray.withNic({
      driver: undefined,
      rdmaDevice: undefined,
      uverbs: undefined,
      port: undefined,
      kernel: undefined,
    }),
    reason: 'WaitingForDriver',
    names: '0000:03:00.0 has no driver; expected mlx5_core',
  },
  {
    what: 'the NIC is given to a virtual machine',
    seen: tray.withNic({
      driver: 'vfio-pci',
      rdmaDevice: undefined,
      uverbs: undefined,
      port: undefined,
      kernel: undefined,
    }),
    reason: 'WaitingForDriver',
    names: 'driver vfio-pci',
  },
  {
    what: 'mlx5_ib is not loaded',
    seen: tray.withNic({ rdmaDevice: undefined, uverbs: undefined, port: undefined, kernel: undefined }),
    reason: 'WaitingForDriver',
    names: 'mlx5_ib',
  },
  {
    what: 'the RDMA device goes away while it is asked',
    seen: tray.withNic({ kernel: refusedAt('GET_DATA_DIRECT_SYSFS_PATH', 'EIO') }),
    reason: 'WaitingForDriver',
    names: 'EIO (5)',
  },
  {
    what: 'the RDMA device belongs to another network namespace',
    seen: tray.withNic({ kernel: refusedAt('open', 'EPERM') }, { rdmaNamespacesShared: false }),
    reason: 'RdmaNamespaceExclusive',
    names: 'exclusive',
  },
  {
    what: 'the device cgroup forbids the node',
    seen: tray.withNic({ kernel: refusedAt('open', 'EPERM') }),
    reason: 'PairingUnverified',
    names: '0009:03:00.0',
  },
  {
    what: 'the node may not be opened and the VPD may not be read',
    seen: tray.withDma({ vpd: errno.EACCES }, { vpd: errno.EACCES, kernel: refusedAt('open', 'EACCES') }),
    reason: 'PairingUnverified',
    names: 'uverbs0',
  },
  {
    what: 'the open of the node blocks',
    seen: tray.withNic({ kernel: refusedAt('open', 'ETIMEDOUT') }),
    reason: 'DeviceUnresponsive',
    names: 'ETIMEDOUT (110)',
  },
  {
    what: 'the probe blocks although the pair is known',
    seen: tray.withNic({ kernel: pairedButRefused('REG_DMABUF_MR probe', 'EBUSY') }),
    reason: 'DeviceUnresponsive',
    names: 'EBUSY (16)',
  },
  {
    what: 'the port state does not come',
    seen: tray.withNic({ port: errno.ETIMEDOUT }),
    reason: 'DeviceUnresponsive',
    names: 'port state of mlx5_0',
  },
  {
    what: 'ib_uverbs is not loaded',
    seen: tray.withNic({ uverbs: undefined, kernel: undefined }),
    reason: 'VerbsNodeMissing',
    names: 'ib_uverbs',
  },
  {
    what: 'the device node is not in /dev',
    seen: tray.withNic({ kernel: refusedAt('open', 'ENOENT') }),
    reason: 'VerbsNodeMissing',
    names: '/dev/infiniband/uverbs0',
  },
  { what: 'the cable is out', seen: tray.withNic({ port: 'DOWN' }), reason: 'PortDown', names: 'DOWN' },
  { what: 'no subnet manager runs', seen: tray.withNic({ port: 'INIT' }), reason: 'PortDown', names: 'subnet manager' },
  {
    what: 'NIC and GPU sit behind one switch',
    seen: tray.snapshot({
      nics: [tray.nicAt(tray.DMA_PATH, { kernel: undefined })],
      dmas: [],
    }),
    reason: 'NotNeeded',
    names: 'share a switch',
  },
  {
    what: 'the GPU hangs directly below a root port',
    seen: tray.snapshot({
      nics: [tray.nicAt(tray.NIC_PATH, { kernel: undefined })],
      dmas: [],
      gpus: [tray.gpuAt('devices/pci0009:00/0009:00:00.0/0009:01:00.0')],
    }),
    reason: 'NotNeeded',
    names: 'root ports',
  },
  {
    what: 'the NIC is a BlueField',
    seen: tray.withNic({ model: 'BlueField-3', kernel: undefined, vpd: tray.vpdWith({ V3: 'its own' }) }),
    reason: 'NoDmaFunction',
    names: 'BlueField-3',
  },
  {
    what: 'the node has no 15b3:2100 function',
    seen: tray.withNic({ kernel: undefined }, { dmas: [] }),
    reason: 'NoDmaFunction',
    names: '15b3:2100',
  },
  {
    what: 'the VUIDs differ although serial and driver are right',
    seen: tray.withNic({ kernel: pairedWithNone }),
    reason: 'NoDmaFunction',
    names: 'VUID',
  },
  {
    what: 'the NIC’s own DMA function fell off the bus and another NIC’s is left',
    seen: tray.withDma({ vpd: tray.vpdWith({ V3: 'another' }) }, { kernel: pairedWithNone }),
    reason: 'NoDmaFunction',
    names: 'none of the DMA functions 0009:03:00.0',
  },
  {
    what: 'the DMA function vanished between kernel and sysfs',
    seen: tray.withNic({ kernel: { answer: { dma: '0008:03:00.0' }, refusal: undefined, verified: 'None' } }),
    reason: 'NoDmaFunction',
    names: '0008:03:00.0',
  },
  {
    what: 'the kernel has no data direct series',
    seen: tray.withNic({ kernel: refusedAt('GET_DATA_DIRECT_SYSFS_PATH', 'EPROTONOSUPPORT') }),
    reason: 'KernelTooOld',
    names: 'Linux 6.12',
  },
  {
    what: 'the kernel answers an errno without meaning',
    seen: tray.withNic({ kernel: refusedAt('GET_CONTEXT', 'EINVAL') }),
    reason: 'KernelRefused',
    names: 'GET_CONTEXT on /dev/infiniband/uverbs0 answered EINVAL (22)',
  },
  {
    what: 'two DMA functions share the NIC’s serial and the kernel cannot be asked',
    seen: tray.snapshot({
      nics: [tray.nicAt(tray.NIC_PATH, { kernel: refusedAt('open', 'EACCES') })],
      dmas: [tray.dmaAt(tray.DMA_PATH), tray.dmaAt(tray.DMA_PATH.replaceAll('0009', '0008'))],
    }),
    reason: 'PairingAmbiguous',
    names: '0009:03:00.0, 0008:03:00.0',
  },
  {
    what: 'the VPD of the DMA function is cut off, so that its driver cannot bind',
    seen: tray.withDma({ driver: undefined, vpd: truncated }, { kernel: pairedWithNone }),
    reason: 'VpdUnreadable',
    names: '0009:03:00.0 (/sys/bus/pci/devices/0009:03:00.0/vpd: VPD ends inside keyword VU',
  },
  {
    what: 'the VPD of the DMA function is cut off before its serial',
    seen: tray.withDma(
      { driver: undefined, vpd: { ...tray.vpdWith({ PN: 'x' }), broken: truncated } },
      { kernel: pairedWithNone },
    ),
    reason: 'VpdUnreadable',
    names: '0009:03:00.0 (/sys/bus/pci/devices/0009:03:00.0/vpd: VPD ends inside keyword VU',
  },
  {
    what: 'the VPD of the DMA function is cut off behind its serial',
    seen: tray.withDma(
      { driver: undefined, vpd: { ...tray.vpdWith({ V3: tray.SERIAL }), broken: truncated } },
      { kernel: pairedWithNone },
    ),
    reason: 'DmaDriverNotBound',
    names: '0009:03:00.0 of mlx5_0',
  },
  {
    what: 'the VPD of the NIC cannot be read and the kernel knows no pair',
    seen: tray.withNic({ kernel: pairedWithNone, vpd: errno.EIO }),
    reason: 'VpdUnreadable',
    names: 'EIO (5)',
  },
  {
    what: 'the DMA function is unbound',
    seen: tray.withDma({ driver: undefined }, { kernel: pairedWithNone }),
    reason: 'DmaDriverNotBound',
    names: '0009:03:00.0 of mlx5_0 (0000:03:00.0) has no driver; expected mlx5_ib or mlx5_dd',
  },
  {
    what: 'a foreign driver holds the DMA function',
    seen: tray.withDma({ driver: 'vfio-pci' }, { kernel: pairedWithNone }),
    reason: 'DmaDriverNotBound',
    names: 'driver vfio-pci',
  },
  {
    what: 'the DMA function is unbound and no VPD may be read',
    seen: tray.withDma({ driver: undefined, vpd: errno.EACCES }, { kernel: pairedWithNone, vpd: errno.EACCES }),
    reason: 'DmaDriverNotBound',
    names: '0009:03:00.0',
  },
  {
    what: 'of two functions with the serial the kernel rules out the bound one',
    seen: tray.snapshot({
      nics: [tray.nicAt(tray.NIC_PATH, { kernel: pairedWithNone })],
      dmas: [tray.dmaAt(tray.DMA_PATH, { driver: undefined }), tray.dmaAt(tray.DMA_PATH.replaceAll('0009', '0008'))],
    }),
    reason: 'DmaDriverNotBound',
    names: '0009:03:00.0',
  },
  {
    what: 'data direct is off for a VF',
    seen: tray.snapshot({
      nics: [tray.nicAt(VF_PATH, { function: 'VF', physicalFunction: '0000:03:00.0', kernel: pairedWithNone })],
    }),
    reason: 'FunctionDisabled',
    names: 'VF',
  },
  {
    what: 'the kernel names another DMA function than the VPD',
    seen: tray.snapshot({
      dmas: [
        tray.dmaAt(tray.DMA_PATH, { vpd: tray.vpdWith({ V3: 'another' }) }),
        tray.dmaAt(tray.DMA_PATH.replaceAll('0009', '0008')),
      ],
    }),
    reason: 'EvidenceConflict',
    names: '0008:03:00.0',
  },
  {
    what: 'the kernel pairs none although a bound DMA function has the VUID that the firmware names',
    seen: tray.withNic({ kernel: pairedWithNone, firmware: named('MT2421600CDEMLNXDD0') }),
    reason: 'EvidenceConflict',
    names: 'with none, but the firmware names the VUID of 0009:03:00.0',
  },
  {
    what: 'the firmware names another DMA function than the VPD, and the kernel is silent',
    seen: tray.snapshot({
      nics: [tray.nicAt(tray.NIC_PATH, { kernel: undefined, firmware: named('OTHER') })],
      dmas: [
        tray.dmaAt(tray.DMA_PATH),
        tray.dmaAt(tray.DMA_PATH.replaceAll('0009', '0008'), { vpd: tray.vpdWith({ V3: 'another', VU: 'OTHER' }) }),
      ],
    }),
    reason: 'EvidenceConflict',
    names:
      'the firmware pairs mlx5_0 (0000:03:00.0) with 0008:03:00.0, but its serial (VPD V3) is that of 0009:03:00.0',
  },
  {
    what: 'the kernel pairs as the firmware says, and only the VPD says otherwise',
    seen: tray.snapshot({
      nics: [tray.nicAt(tray.NIC_PATH, { firmware: named('MT2421600CDEMLNXDD0') })],
      dmas: [
        tray.dmaAt(tray.DMA_PATH, { vpd: tray.vpdWith({ V3: 'another', VU: 'MT2421600CDEMLNXDD0' }) }),
        tray.dmaAt(tray.DMA_PATH.replaceAll('0009', '0008'), { vpd: tray.vpdWith({ V3: tray.SERIAL, VU: 'X' }) }),
      ],
    }),
    reason: 'EvidenceConflict',
    names: 'pairs mlx5_0 (0000:03:00.0) with 0009:03:00.0, but its serial (VPD V3) is that of 0008:03:00.0',
  },
  {
    what: 'the firmware names another DMA function than the kernel',
    seen: tray.snapshot({
      nics: [tray.nicAt(tray.NIC_PATH, { vpd: tray.vpdWith({}), firmware: named('OTHER') })],
      dmas: [
        tray.dmaAt(tray.DMA_PATH),
        tray.dmaAt(tray.DMA_PATH.replaceAll('0009', '0008'), { vpd: tray.vpdWith({ VU: 'OTHER' }) }),
      ],
    }),
    reason: 'EvidenceConflict',
    names: 'but the VUID that its firmware names is that of 0008:03:00.0',
  },
  {
    what: 'the firmware cannot name a VUID, and the function is a PF',
    seen: tray.withNic({ kernel: pairedWithNone, firmware: able({ queryVuid: false }) }),
    reason: 'FunctionDisabled',
    names: 'capability query_vuid as 0',
  },
  {
    what: 'the firmware of a VF says that it can, against what is usual for a VF',
    seen: tray.withNic({ function: 'VF', kernel: pairedWithNone, firmware: able({}) }),
    reason: 'NoDmaFunction',
    names: 'could not be asked',
  },
  {
    what: 'the registration is refused',
    seen: tray.withNic({ kernel: pairedButRefused('REG_DMABUF_MR probe', 'EINVAL') }),
    reason: 'RegistrationFailed',
    names: 'EINVAL (22)',
  },
  { what: 'the GPU fell off the bus', seen: tray.snapshot({ gpus: [] }), reason: 'GpuNotFound', names: '0009:03:00.0' },
  {
    what: 'two GPUs sit beside the DMA function',
    seen: tray.snapshot({ gpus: [tray.gpuAt(tray.GPU_PATH), tray.gpuAt(tray.GPU_PATH.replace('06:00.0', '07:00.0'))] }),
    reason: 'UnexpectedTopology',
    names: '0009:06:00.0, 0009:07:00.0',
  },
  {
    what: 'a disk sits beside the DMA function',
    seen: tray.snapshot({ others: [...tray.BRIDGES, tray.stranger(tray.GPU_PATH.replace('06:00.0', '07:00.0'))] }),
    reason: 'UnexpectedTopology',
    names: '0009:07:00.0 (144d:a80a)',
  },
  {
    what: 'GPU and DMA function are in different iommu groups',
    seen: tray.withDma({ iommuGroup: '11' }),
    reason: 'IommuGroupMismatch',
    names: 'iommu group 11, GPU 0009:06:00.0 in 12: the GPU driver refuses such a pair with errno 524',
  },
  {
    what: 'the groups differ because the ports are as Linux leaves them',
    seen: tray.snapshot({
      dmas: [tray.dmaAt(tray.DMA_PATH, { iommuGroup: '11' })],
      acs: new Map([...tray.ACS, ['0009:00:00.0', 0b0011101]]),
    }),
    reason: 'IommuGroupMismatch',
    names: 'errno 524 (ACS of 0009:00:00.0 is 0011101, expected xx111x0)',
  },
  {
    what: 'a port towards the GPU redirects completions',
    seen: tray.snapshot({ acs: new Map([...tray.ACS, ['0009:02:02.0', 0b0011101]]) }),
    reason: 'AcsMisconfigured',
    names: 'ACS of 0009:02:02.0 is 0011101, expected xx101x1',
  },
  {
    what: 'ACS may be read by root only and the groups are equal',
    seen: tray.snapshot({ acs: new Map([...tray.ACS].map(([address]) => [address, 'hidden' as const])) }),
    reason: 'Paired',
    names: '0009:06:00.0',
  },
  {
    what: 'no GPU driver is there yet',
    seen: tray.snapshot({ gpus: [tray.gpuAt(tray.GPU_PATH, { driver: undefined })] }),
    reason: 'Paired',
    names: '0009:06:00.0',
  },
];

describe('a path’s reason', () => {
  it.each(TABLE)('is $reason when $what', ({ seen, reason, names }) => {
    const path = onlyPath(seen);
    expect(path).toMatchObject({ reason, state: stateOf(reason) });
    expect(path.message).toContain(names);
  });

  it('is found for every reason that driver-core can find', () => {
    const found = new Set(TABLE.map(({ reason }) => reason));
    // An administrator’s word is not in a snapshot.
    const elsewhere = new Set(['Excluded']);
    expect(
      Object.keys(PATH_REASONS).filter((reason) => !elsewhere.has(reason) && !found.has(reason as Path['reason'])),
    ).toEqual([]);
  });

  it('is never a mere degradation while the NIC itself is unusable, whatever the order of the checks', () => {
    const states = CHECKS.map(({ reason }) => stateOf(reason));
    expect(states.lastIndexOf('Unavailable')).toBeLessThan(states.findIndex((state) => state !== 'Unavailable'));
  });
});

describe('a path', () => {
  it('names its NIC, DMA function, GPU, complex and evidence', () => {
    expect(onlyPath(tray.snapshot())).toMatchObject({
      id: '0000:03:00.0',
      name: 'mlx5_0',
      nic: { model: 'ConnectX-8', portState: 'ACTIVE', uverbs: 'uverbs0' },
      dma: { address: '0009:03:00.0', vuid: 'MT2421600CDEMLNXDD0', driver: 'mlx5_ib' },
      gpus: [{ address: '0009:06:00.0', iommuGroup: '12' }],
      complex: tray.SERIAL,
      evidence: 'KernelIoctl',
      verified: 'Probe',
    });
  });

  it('is called by its PCI address while there is no RDMA device', () => {
    expect(onlyPath(tray.withNic({ rdmaDevice: undefined })).name).toBe('0000:03:00.0');
  });

  it('is in the complex of its root port where the DMA function tells no serial', () => {
    expect(onlyPath(tray.withDma({ vpd: errno.EACCES })).complex).toBe('0009:00:00.0');
  });

  it('knows its DMA function from the VPD alone while it is unbound', () => {
    const path = onlyPath(tray.withDma({ driver: undefined }, { kernel: pairedWithNone }));
    expect(path).toMatchObject({ evidence: 'VpdV3', dma: { address: '0009:03:00.0' } });
  });

  it('shares its DMA function with the second port of the adapter: that is normal', () => {
    const second = tray.nicAt(tray.NIC_PATH.replace('03:00.0', '03:00.1'), { rdmaDevice: 'mlx5_1', uverbs: 'uverbs1' });
    const paths = assess(tray.snapshot({ nics: [tray.nicAt(tray.NIC_PATH), second] }));
    expect(paths.map(({ reason }) => reason)).toEqual(['Paired', 'Paired']);
  });

  it('is the only one that suffers from a fault in its own DMA function', () => {
    const other = tray.DMA_PATH.replaceAll('0009', '0008');
    const paths = assess(
      tray.snapshot({
        nics: [
          tray.nicAt(tray.NIC_PATH, { kernel: pairedWithNone }),
          tray.nicAt('devices/pci0002:00/0002:00:00.0/0002:03:00.0', {
            vpd: tray.vpdWith({ V3: 'another' }),
            kernel: { answer: { dma: '0008:03:00.0' }, refusal: undefined, verified: 'Probe' },
          }),
        ],
        dmas: [
          tray.dmaAt(tray.DMA_PATH, { driver: undefined, vpd: truncated }),
          tray.dmaAt(other, { vpd: tray.vpdWith({ V3: 'another' }) }),
        ],
        gpus: [tray.gpuAt(tray.GPU_PATH), tray.gpuAt(tray.GPU_PATH.replaceAll('0009', '0008'))],
      }),
    );
    expect(paths.map(({ reason }) => reason)).toEqual(['VpdUnreadable', 'Paired']);
  });
});
