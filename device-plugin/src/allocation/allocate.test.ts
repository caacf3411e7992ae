// Device nodes of a container. Refusals are tested over the wire (../kubelet/kubelet.test.ts).
import { expect, test } from 'vitest';

import type { Pool } from '../pool.ts';
import { assignment, path, resource, tray } from '../test-support.ts';
import { allocate } from './allocate.ts';

function poolWith(fields: object, paths = tray()): Pool {
  const [pool] = assignment({ resources: [resource(fields)], paths }).pools;
  if (!pool) throw new Error('no pool');
  return pool;
}

const context = { node: tray(), hostPath: (name: string) => `/dev/infiniband/${name}`, hasCdiDevice: () => false };
const ids = tray().map(({ id }) => id);

test('a policy adds rdma_cm once and the umad nodes of each path', () => {
  const pool = poolWith({ devices: { rdmaCm: true, umad: true } });
  expect(allocate(pool, ids.slice(0, 2), context).devices.map((device) => device.containerPath)).toEqual([
    '/dev/infiniband/uverbs0',
    '/dev/infiniband/uverbs1',
    '/dev/infiniband/umad0',
    '/dev/infiniband/umad1',
    '/dev/infiniband/rdma_cm',
  ]);
});

test('two replicas of one path are one device node', () => {
  const pool = poolWith({ sharing: { replicas: 2 } }, [path(0)]);
  const { devices, envs } = allocate(pool, ['0000:03:00.0::1', '0000:03:00.0::2'], { ...context, node: [path(0)] });
  expect(devices).toHaveLength(1);
  expect(envs['PCIDEVICE_DATADIRECT_DEV_PATH']).toBe('0000:03:00.0');
});

test('nodes of a virtual host lie elsewhere on the node and at the usual place in the container', () => {
  const [device] = allocate(poolWith({}), ids.slice(0, 1), {
    ...context,
    hostPath: (name) => `/elsewhere/${name}`,
  }).devices;
  expect(device).toEqual({
    containerPath: '/dev/infiniband/uverbs0',
    hostPath: '/elsewhere/uverbs0',
    permissions: 'rw',
  });
});

test('whatever the order in which the kubelet asks, containers with the same paths get the same variables', () => {
  const pool = poolWith({});
  expect(allocate(pool, ids.toReversed(), context)).toEqual(allocate(pool, ids, context));
});
