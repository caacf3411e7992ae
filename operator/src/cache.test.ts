// What a round reads while the watch has not caught up with what the operator wrote itself.
import { until } from '@data-direct/kube/virtual';
import { expect, onTestFinished, test } from 'vitest';

import { Cache } from './cache.ts';
import { asOperator, nodeIntent } from './node-object.ts';
import { dataDirectNodes, type NodeObject, trimDataDirectNode } from './objects.ts';
import { settledNode, policyOf } from './testing.ts';
import { type VirtualCluster, startVirtualCluster } from './virtual-cluster.ts';

const NAME = 'node-a';
const { resources } = settledNode([policyOf('gb300')]).assignment;

interface Rig {
  cluster: VirtualCluster;
  cache: Cache<NodeObject>;
}

/** A cache that knows of a node without resources, and whose watch has fallen silent. */
async function rig(): Promise<Rig> {
  const cluster = await startVirtualCluster();
  cluster.server.store.create(dataDirectNodes, { metadata: { name: NAME }, spec: { resources: [] } });
  const { api, clock } = cluster;
  const cache = new Cache({ api, clock, resource: dataDirectNodes, trim: trimDataDirectNode, onError: () => {} });
  onTestFinished(async () => {
    await cache.following.stop();
    await cluster.close();
  });
  cache.following.start();
  await until(() => cluster.server.openWatches() === 1);
  cluster.server.disturbWatches('silence');
  return { cluster, cache };
}

async function write({ cluster, cache }: Rig): Promise<void> {
  cache.wrote(await cluster.api.apply(dataDirectNodes, nodeIntent(NAME, [], resources), asOperator));
}

test('what the server answered to a write counts at once', async () => {
  const made = await rig();
  const { cache } = made;
  await write(made);
  expect(cache.get(NAME)?.spec.resources).toEqual(resources);
  expect([...cache.values()].map(({ spec }) => spec.resources)).toEqual([resources]);
});

test('what the watch brings later counts more', async () => {
  const made = await rig();
  const { cluster, cache } = made;
  await write(made);
  cluster.server.store.patch(dataDirectNodes, { name: NAME }, { spec: { resources: [] } });
  cluster.server.disturbWatches('reset');
  await cluster.eventually(() => expect(cache.get(NAME)?.spec.resources).toEqual([]));
});

test('an object that was made anew is not taken for the one that was written', async () => {
  const made = await rig();
  const { cluster, cache } = made;
  await write(made);
  cluster.server.store.delete(dataDirectNodes, { name: NAME });
  const { metadata } = cluster.server.store.create(dataDirectNodes, {
    metadata: { name: NAME },
    spec: { resources: [] },
  });
  cluster.server.disturbWatches('reset');
  await cluster.eventually(() => expect(cache.get(NAME)?.metadata.uid).toBe(metadata.uid));
  expect(cache.get(NAME)?.spec.resources).toEqual([]);
});
