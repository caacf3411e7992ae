// The truth table of data direct for a container, and the variables that say it.
import { type PathReason, PATHS_VARIABLE_PREFIX, VARIABLES } from '@data-direct/crds';
import { expect, test } from 'vitest';

import { gpu, path, resource, tray } from '../test-support.ts';
import { dataDirect, environment } from './environment.ts';

const off = { NCCL_IB_DATA_DIRECT: '0', UCX_IB_DIRECT_NIC: 'n', NVSHMEM_DISABLE_DATA_DIRECT: '1' };
const on = { NCCL_IB_DATA_DIRECT: '1', UCX_IB_DIRECT_NIC: 'y', NVSHMEM_DISABLE_DATA_DIRECT: '0' };

interface Case {
  /** Indexes of the paths that the container holds. */
  holds: number[];
  gpus?: string[];
  dataDirect?: string;
  whenGpuUnknown?: string;
  reasons?: Record<number, PathReason>;
  expected: typeof on;
}

const all = [0, 1, 2, 3];
const cases: [string, Case][] = [
  ['all paths of the node', { holds: all, expected: on }],
  ['all paths, whatever the GPUs', { holds: all, gpus: ['00ff:01:00.0'], expected: on }],
  ['some paths, GPUs unknown', { holds: [0, 1], expected: off }],
  ['some paths, GPUs unknown, policy says On', { holds: [0, 1], whenGpuUnknown: 'On', expected: on }],
  ['some paths with their own GPUs', { holds: [0, 1], gpus: [gpu(0), gpu(1)], expected: on }],
  ['two paths and the GPU of one', { holds: [0, 1], gpus: [gpu(1)], expected: on }],
  ['a GPU elsewhere', { holds: [0, 1], gpus: [gpu(0), gpu(3)], expected: off }],
  [
    'a GPU elsewhere, policy says On for unknown ones',
    { holds: [0], gpus: [gpu(1)], whenGpuUnknown: 'On', expected: off },
  ],
  ['no GPU at all', { holds: [0], gpus: [], expected: on }],
  ['all paths, one degraded', { holds: all, reasons: { 2: 'DmaDriverNotBound' }, expected: off }],
  ['its own path well, another degraded', { holds: [0], gpus: [gpu(0)], reasons: { 2: 'PortDown' }, expected: on }],
  ['all the others, one lost its DMA function', { holds: [0, 1, 2], reasons: { 3: 'NoDmaFunction' }, expected: off }],
  [
    'paths that need no second way',
    { holds: all, reasons: { 0: 'NotNeeded', 1: 'NotNeeded', 2: 'NotNeeded', 3: 'NotNeeded' }, expected: off },
  ],
  ['all paths, policy Disabled', { holds: all, dataDirect: 'Disabled', expected: off }],
  ['all paths, policy Required', { holds: all, dataDirect: 'Required', expected: on }],
];

test.each(cases)('%s', (_name, { holds, gpus, reasons, expected, ...policy }) => {
  const node = tray(reasons);
  const paths = node.filter((_path, index) => holds.includes(index));
  expect(environment({ resource: resource(policy), paths, gpus }, node)).toMatchObject(expected);
});

test('the node’s BlueField, which never had a DMA function, is not needed for "every path"', () => {
  const { dma: _none, ...nic } = path(3);
  const blueField = { ...nic, id: '0006:01:00.0', dma: undefined, nic: { ...nic.nic, model: 'BlueField-3' } };
  const holding = { resource: resource(), paths: tray(), gpus: undefined };
  expect(dataDirect(holding, [...tray(), blueField])).toEqual({
    on: true,
    because: 'the container holds every path of the node',
  });
});

test('what is off says why', () => {
  const node = tray({ 1: 'DmaDriverNotBound' });
  expect(dataDirect({ resource: resource(), paths: node, gpus: undefined }, node).because).toBe(
    'mlx5_1 is DmaDriverNotBound',
  );
});

test('every variable that is set is one that policies may not set themselves, and the other way round', () => {
  const node = tray();
  const set = Object.keys(environment({ resource: resource(), paths: node, gpus: undefined }, node));
  const ours = set.filter((name) => !name.startsWith(PATHS_VARIABLE_PREFIX));
  expect(ours.toSorted()).toEqual(Object.values(VARIABLES).flat().toSorted());
});

test('only the allocated RDMA devices are named, exactly and without their DMA twins', () => {
  const node = tray();
  expect(environment({ resource: resource(), paths: node.slice(1, 3), gpus: undefined }, node)).toMatchObject({
    NCCL_IB_HCA: '=mlx5_1,mlx5_2',
    UCX_NET_DEVICES: 'mlx5_1:1,mlx5_2:1',
    NVSHMEM_HCA_LIST: 'mlx5_1:1,mlx5_2:1',
  });
});

test('addresses and details come under the names that SR-IOV users know', () => {
  const node = tray();
  const variables = environment(
    { resource: resource({ name: 'ib-path' }), paths: node.slice(0, 2), gpus: undefined },
    node,
  );
  expect(variables['PCIDEVICE_DATADIRECT_DEV_IB_PATH']).toBe('0000:03:00.0,0001:03:00.0');
  expect(JSON.parse(variables['PCIDEVICE_DATADIRECT_DEV_IB_PATH_INFO'] ?? '')).toMatchObject({
    '0000:03:00.0': {
      generic: { deviceID: '0000:03:00.0' },
      rdma: { device: 'mlx5_0', uverbs: '/dev/infiniband/uverbs0' },
      dataDirect: { dma: '0010:03:00.0', gpus: ['0010:06:00.0'], complex: 'complex-0' },
    },
  });
});

test('a policy leaves variables out and adds its own, which win', () => {
  const node = tray();
  const asked = resource({
    environment: {
      ucx: false,
      nvshmem: false,
      scopeHca: false,
      extra: { NCCL_DEBUG: 'INFO', NCCL_IB_DATA_DIRECT: '2' },
    },
  });
  const variables = environment({ resource: asked, paths: node, gpus: undefined }, node);
  expect(Object.keys(variables).toSorted()).toEqual([
    'NCCL_DEBUG',
    'NCCL_IB_DATA_DIRECT',
    'PCIDEVICE_DATADIRECT_DEV_PATH',
    'PCIDEVICE_DATADIRECT_DEV_PATH_INFO',
  ]);
  expect(variables['NCCL_IB_DATA_DIRECT']).toBe('2');
});
