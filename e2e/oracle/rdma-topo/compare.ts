// One machine, three readings: rdma_topo on a tree on disk, driver-core with a kernel that answers, driver-core on the same files without one.

import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVirtualHost, type Fixture, type Host, Observer, openLinuxHost } from '@data-direct/driver-core';
import { assessAcs, configAcs } from '../../../driver-core/src/path/acs.ts';
import { assess } from '../../../driver-core/src/path/assess.ts';
import { materialise } from '../../../driver-core/src/virtual/materialise.ts';
import { type Difference, differences, type Ours } from './differences.ts';
import { interview, type Listed, type Opinion } from './interview.ts';
import type { RdmaTopo } from './process.ts';

export interface Comparison {
  readonly opinions: readonly Opinion[];
  readonly differences: readonly Difference[];
  readonly functions: readonly Listed[];
}

export async function compare(rdmaTopo: RdmaTopo, fixture: Fixture): Promise<Comparison> {
  const directory = await mkdtemp(join(await memory(), 'data-direct-oracle-'));
  try {
    const host = createVirtualHost(fixture);
    const sysfsRoot = join(directory, 'sys');
    await materialise(host.sysfsTree, sysfsRoot);
    const absent = join(directory, 'absent');
    const files = await openLinuxHost({ sysfsRoot, procRoot: absent, devRoot: absent });
    const functions = listed(fixture);
    const opinions = await interview(rdmaTopo, sysfsRoot, functions);
    return {
      opinions,
      functions,
      differences: [
        ...differences(await ours(host), opinions, 'kernel'),
        ...differences(await ours(files), opinions, 'VPD alone'),
      ],
    };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A tree is some hundred small files: on a disk they take ten times as long to write as all the rest. */
async function memory(): Promise<string> {
  return access('/dev/shm', constants.W_OK).then(
    () => '/dev/shm',
    () => tmpdir(),
  );
}

async function ours(host: Host): Promise<Ours> {
  const snapshot = await new Observer(host).observe();
  const ports = assessAcs(snapshot);
  return { paths: assess(snapshot), ports, parameter: configAcs(ports) };
}

function listed({ functions }: Fixture): Listed[] {
  return functions.map(({ address, devpath, modalias }) => {
    const [root = address] = /[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/.exec(devpath) ?? [];
    return { address, root, kind: KINDS.find(({ modalias: kind }) => kind.test(modalias))?.kind ?? 'other' };
  });
}

const KINDS: readonly { readonly kind: Listed['kind']; readonly modalias: RegExp }[] = [
  { kind: 'dma', modalias: /^pci:v000015B3d00002100/ },
  { kind: 'gpu', modalias: /^pci:v000010DE.*bc03/ },
  { kind: 'bridge', modalias: /bc06sc04/ },
];
