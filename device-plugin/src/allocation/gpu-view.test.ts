// What pod-resources tells of the pod that is being admitted, and where GPU plug-ins' device ids lead.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { ContainerDevices } from '../kubelet/protocol.ts';
import { gpu } from '../test-support.ts';
import { GpuNames } from './gpu-names.ts';
import { bystanders, gpuView } from './gpu-view.ts';

const PATH = 'datadirect.dev/path';
const GPU = 'amd.com/gpu';
const addressOf = new GpuNames().addressOf(new Set([0, 1, 2, 3].map(gpu)));

const holds = (pod: string, resource: string, ...ids: string[]): ContainerDevices => ({
  namespace: 'default',
  pod,
  container: 'main',
  resource,
  ids,
});
const earlier = [holds('old', GPU, gpu(0)), holds('old', PATH, '0000:03:00.0'), holds('render', GPU, gpu(1))];
const settled = new Set(bystanders(earlier, PATH, addressOf).map(({ key }) => key));
const wanted = (held: readonly ContainerDevices[], size = 1): string[] => [
  ...gpuView({ held, resource: PATH, size, settled }, addressOf).wanted,
];

test('GPUs of a container that was not there before and has no path are those of the pod that is being admitted', () => {
  expect(wanted([...earlier, holds('new', GPU, gpu(2))])).toEqual([gpu(2)]);
});

test('where no such container is, the pod has no GPU yet, and all that are in use are others’', () => {
  const view = gpuView({ held: earlier, resource: PATH, size: 1, settled }, addressOf);
  expect(view).toEqual({ wanted: new Set(), held: new Set([gpu(0), gpu(1)]) });
});

test('a pod of the same name that was given other GPUs is a new one', () => {
  expect(wanted([holds('render', GPU, gpu(3))])).toEqual([gpu(3)]);
});

test('of two containers the one with as many GPUs as paths are asked for', () => {
  const held = [...earlier, holds('one', GPU, gpu(2)), holds('two', GPU, gpu(3), gpu(1))];
  expect(wanted(held, 2)).toEqual([gpu(1), gpu(3)]);
});

describe('a device id', () => {
  let proc: string;
  const known = new Set(['0009:06:00.0', '0008:06:00.0']);

  beforeEach(() => {
    proc = mkdtempSync(join(tmpdir(), 'nvidia-'));
    for (const [address, uuid] of [
      ['0009:06:00.0', 'GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b'],
      ['0008:06:00.0', 'GPU-????????-????-????-????-????????????'],
    ] as const) {
      mkdirSync(join(proc, address));
      writeFileSync(join(proc, address, 'information'), `Model: \t\t B300\nIRQ:   \t\t 10\nGPU UUID: \t ${uuid}\n`);
    }
  });
  afterEach(() => rmSync(proc, { recursive: true }));

  test.each([
    ['is a PCI address', '0009:06:00.0', '0009:06:00.0'],
    ['holds one, in capitals', 'gpu-0009:06:00.0'.toUpperCase(), '0009:06:00.0'],
    ['is the UUID of an NVIDIA GPU', 'GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b', '0009:06:00.0'],
    ['is such a UUID shared in time', 'GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b::3', '0009:06:00.0'],
    ['is a UUID that the driver does not tell', 'GPU-00000000-b60b-a624-bf14-0a1819cfda3b', undefined],
    ['is a MIG slice', 'MIG-9221d5d1-b60b-a624-bf14-0a1819cfda3b', undefined],
    ['is a number', '3', undefined],
    ['is the address of something else', '0000:03:00.0', undefined],
    ['is hostile', '../../../../etc/passwd', undefined],
  ])('that %s', (_what, id, address) => {
    expect(new GpuNames(proc).addressOf(known)('nvidia.com/gpu', id)).toBe(address);
  });

  test('leads nowhere on a node without that driver', () => {
    rmSync(proc, { recursive: true });
    mkdirSync(proc);
    const names = new GpuNames(join(proc, 'absent')).addressOf(known);
    expect(names('nvidia.com/gpu', 'GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b')).toBeUndefined();
  });
});
