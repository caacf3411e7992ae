// Asks rdma_topo about a tree on disk: about the whole node, and where it refuses that for one part of it, about each DMA function alone.

import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Complex, complexes, kernelParameter, type Refusal, type Verdicts, verdicts } from './answer.ts';
import type { RdmaTopo } from './process.ts';

/** A function of the tree, as far as it matters to whom rdma_topo is asked about. */
export interface Listed {
  readonly address: string;
  readonly kind: 'dma' | 'gpu' | 'bridge' | 'other';
  /** The root port above it, or itself. */
  readonly root: string;
}

export interface Opinion {
  /** The DMA function, or where there is none the GPU, that alone was left in the tree; undefined: the whole node. */
  readonly about: string | undefined;
  readonly answer: readonly Complex[] | Refusal;
  readonly verdicts: Verdicts | undefined;
  /** The pci=config_acs= parameter for what was left in the tree; undefined where it has no verdicts. */
  readonly parameter: string | undefined;
}

/** `sysfs` is a tree like /sys. */
export async function interview(rdmaTopo: RdmaTopo, sysfs: string, functions: readonly Listed[]): Promise<Opinion[]> {
  const devices = join(sysfs, 'bus/pci/devices');
  const whole = await opinion(rdmaTopo, devices, undefined);
  const parts = isRefusal(whole.answer) ? partsOf(functions, whole.answer) : [];
  if (parts.length === 0) return [whole];
  const opinions: Opinion[] = [];
  for (const part of parts) {
    const others = new Set(parts.map(({ root }) => root).filter((root) => root !== part.root));
    const names = functions.filter(({ root }) => !others.has(root)).map(({ address }) => address);
    opinions.push(await inSelection(devices, names, (selected) => opinion(rdmaTopo, selected, part.address)));
  }
  return opinions;
}

/** What it can be asked about alone. A NUMA node has no such parts. */
function partsOf(functions: readonly Listed[], { says }: Refusal): readonly Listed[] {
  const dmas = functions.filter(({ kind }) => kind === 'dma');
  if (dmas.length > 0) return dmas;
  return says.includes('NUMA-based') ? [] : functions.filter(({ kind }) => kind === 'gpu');
}

export function isRefusal(answer: Opinion['answer']): answer is Refusal {
  return 'kind' in answer;
}

async function opinion(rdmaTopo: RdmaTopo, devices: string, about: string | undefined): Promise<Opinion> {
  const answer = complexes(await rdmaTopo.ask(devices, ['topo', '-j']), await rdmaTopo.ask(devices, ['topo']));
  if (isRefusal(answer)) return { about, answer, verdicts: undefined, parameter: undefined };
  return {
    about,
    answer,
    verdicts: verdicts(await rdmaTopo.ask(devices, ['check'])),
    parameter: kernelParameter(await rdmaTopo.ask(devices, ['write-grub-acs', '--dry-run'])),
  };
}

/** A directory like /sys/bus/pci/devices with these functions only. */
async function inSelection<T>(
  devices: string,
  names: readonly string[],
  work: (devices: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(devices, '../selected-'));
  try {
    for (const name of names) await symlink(join(devices, name), join(directory, name));
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}
