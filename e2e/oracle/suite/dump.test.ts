// A node as a file, both ways: rdma_topo reads what data-direct dump writes, and data-direct what rdma_topo dump writes.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createVirtualHost, FIXTURE_NAMES, type Host, loadFixture, Observer } from '@data-direct/driver-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';

import { dumpOf } from '../../../driver-core/src/cli/dump-file.ts';
import { readNode } from '../../../driver-core/src/cli/node.ts';
import { parseFixture } from '../../../driver-core/src/virtual/fixture.ts';
import { materialise } from '../../../driver-core/src/virtual/materialise.ts';
import { type Complex, complexes, verdicts } from '../rdma-topo/answer.ts';
import { isRefusal } from '../rdma-topo/interview.ts';
import { RdmaTopo } from '../rdma-topo/process.ts';

let rdmaTopo: RdmaTopo;
let directory: string;

beforeAll(async () => {
  rdmaTopo = new RdmaTopo(inject('oracles')['rdma-topo'].path);
  directory = await mkdtemp(join(tmpdir(), 'data-direct-oracle-'));
});
afterAll(async () => {
  await rdmaTopo.close();
  await rm(directory, { recursive: true });
});

/** The machine and its tree on disk, as rdma_topo reads it. */
async function machine(name: string) {
  const host = createVirtualHost(await loadFixture(name));
  const tree = await mkdtemp(join(directory, 'sys-'));
  await materialise(host.sysfsTree, tree);
  return { host, devices: join(tree, 'bus/pci/devices') };
}

/** What it makes of the node. Lists stand in the order in which it met the functions, which in a directory is anybody's. */
async function said(devices: string, ...options: string[]) {
  const ask = (...words: string[]) => rdmaTopo.ask(devices, [...words, ...options]);
  const seen = complexes(await ask('topo', '-j'), await ask('topo'));
  if (isRefusal(seen)) throw new Error(seen.says);
  return { seen: seen.map(inOrder), verdicts: verdicts(await ask('check')) };
}

function inOrder(complex: Complex): object {
  const entries = Object.entries(complex) as [string, unknown][];
  return Object.fromEntries(entries.map(([name, value]) => [name, Array.isArray(value) ? value.toSorted() : value]));
}

test.each(FIXTURE_NAMES)('%s, dumped by data-direct, is the same node to rdma_topo', async (name) => {
  const { host, devices } = await machine(name);
  const file = join(directory, `${name}.json`);
  await writeFile(file, JSON.stringify(await dumpOf(host, await readNode(host, 'None'))));
  expect(await said(join(directory, 'no /sys'), '-F', file)).toEqual(await said(devices));
});

/** What a file of rdma_topo can tell of a PF; VFs and firmware are not in it. */
const known = async (host: Host) =>
  (await new Observer(host).round())
    .filter(({ nic }) => nic.function === 'PF')
    .map(({ id, reason, dma, gpus, complex }) => ({ id, reason, dma: dma?.address, gpus, complex }));

test.each(FIXTURE_NAMES)('%s, dumped by rdma_topo, is the same node to data-direct', async (name) => {
  const { host, devices } = await machine(name);
  const { status, out } = await rdmaTopo.ask(devices, ['dump']);
  expect(status).toBe(0);
  expect(await known(createVirtualHost(parseFixture('rdma_topo dump', JSON.parse(out))))).toEqual(await known(host));
});
