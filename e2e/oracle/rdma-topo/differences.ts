// Where driver-core and rdma_topo say different things about one node. Pure. What of it is tolerated stands in tolerated.ts.

import type { Path } from '@data-direct/driver-core';
import type { PortAcs } from '../../../driver-core/src/path/acs.ts';
import type { AcsVerdict, Complex, DataDirectComplex, InlineComplex, NumaComplex, Refusal } from './answer.ts';
import { isRefusal, type Opinion } from './interview.ts';

/** Pairs of NIC and DMA function are of a kind of their own: no rule may tolerate one. */
export type Kind = 'pair' | 'gpus' | 'numa node' | 'iommu groups' | 'acs' | 'kernel parameter' | 'platform' | 'refusal';

export interface Difference {
  readonly kind: Kind;
  /** The function that it is about; undefined: the node. */
  readonly about: string | undefined;
  readonly rdmaTopo: string;
  readonly ours: string;
}

/**
 * Where several DMA functions have a NIC's serial, rdma_topo lists the NIC with each. Without the kernel's word nobody can tell them apart,
 * and driver-core names none; the kernel knows by the VUID, and names one of them.
 */
export type Asked = 'kernel' | 'VPD alone';

/** What driver-core says of a node. */
export interface Ours {
  readonly paths: readonly Path[];
  readonly ports: readonly PortAcs[];
  /** pci=config_acs=… */
  readonly parameter: string | undefined;
}

export function differences(ours: Ours, opinions: readonly Opinion[], asked: Asked): Difference[] {
  // rdma_topo knows physical functions only.
  const physical = ours.paths.filter(({ nic }) => nic.function === 'PF');
  const found = opinions.flatMap((opinion) => {
    const { about, answer, verdicts } = opinion;
    if (isRefusal(answer)) return refused(physical, about, answer);
    return answer.flatMap((complex) => [
      ...complexDiffers(physical, complex),
      ...(complex.kind === 'data direct' ? groupsDiffer(physical, complex, verdicts?.sameGroup.get(complex.dma)) : []),
    ]);
  });
  return [...pairsDiffer(physical, opinions, asked), ...found, ...acsDiffers(ours, opinions)];
}

function complexDiffers(paths: readonly Path[], complex: Complex): Difference[] {
  if (complex.kind === 'data direct') return dataDirectDiffers(paths, complex);
  return complex.kind === 'inline' ? inlineDiffers(paths, complex) : numaDiffers(paths, complex);
}

/** Every NIC and the DMA functions that rdma_topo puts it with. */
function pairsDiffer(paths: readonly Path[], opinions: readonly Opinion[], asked: Asked): Difference[] {
  const theirs = dmasByNic(opinions);
  const silentOn = new Set(opinions.flatMap(({ about, answer }) => (isUndecided(answer) && about ? [about] : [])));
  return paths.flatMap(({ nic, dma }) => {
    if (dma && silentOn.has(dma.address)) return [];
    const candidates = theirs.get(nic.address) ?? [];
    const ours = dma?.address;
    if (pairAgrees(ours, candidates, asked)) return [];
    return [{ kind: 'pair' as const, about: nic.address, rdmaTopo: list(candidates), ours: ours ?? 'none' }];
  });
}

/** The kernel has no word on a NIC or DMA function that is not bound. */
function pairAgrees(ours: string | undefined, candidates: readonly string[], asked: Asked): boolean {
  if (candidates.length < 2) return ours === candidates[0];
  return ours === undefined || (asked === 'kernel' && candidates.includes(ours));
}

function dmasByNic(opinions: readonly Opinion[]): Map<string, string[]> {
  const dmas = new Map<string, string[]>();
  for (const { answer } of opinions) {
    for (const complex of isRefusal(answer) ? [] : answer) {
      if (complex.kind !== 'data direct') continue;
      for (const nic of complex.nics) dmas.set(nic, [...(dmas.get(nic) ?? []), complex.dma]);
    }
  }
  return dmas;
}

function dataDirectDiffers(paths: readonly Path[], { dma, gpu, nic, numaNode }: DataDirectComplex): Difference[] {
  const gpus = paths
    .filter((path) => path.dma?.address === dma)
    .filter((path) => !equal(addresses(path), [gpu]))
    .map((path) => differ('gpus', path.id, gpu, list(addresses(path))));
  return [...gpus, ...numaNodeDiffers(paths, nic, numaNode)];
}

function numaNodeDiffers(paths: readonly Path[], nic: string, numaNode: number): Difference[] {
  const path = paths.find(({ id }) => id === nic);
  const ours = path?.nic.numaNode ?? -1;
  return !path || ours === numaNode ? [] : [differ('numa node', nic, String(numaNode), String(ours))];
}

function groupsDiffer(
  paths: readonly Path[],
  { dma, gpu }: DataDirectComplex,
  same: boolean | undefined,
): Difference[] {
  if (same === undefined) return [];
  return paths
    .filter((path) => path.dma?.address === dma)
    .flatMap((path) => {
      const ofGpu = path.gpus.find(({ address }) => address === gpu)?.iommuGroup;
      // The reason says it only where nothing worse is wrong.
      const ours = works(path) ? path.reason !== 'IommuGroupMismatch' : ofGpu === path.dma?.iommuGroup;
      if (ours === same) return [];
      return [
        differ(
          'iommu groups',
          path.id,
          same ? 'same' : 'differ',
          `${path.dma?.iommuGroup} and ${ofGpu}: ${path.reason}`,
        ),
      ];
    });
}

function acsDiffers({ ports, parameter }: Ours, opinions: readonly Opinion[]): Difference[] {
  const theirs = new Map(opinions.filter(knowsAcs).flatMap(({ verdicts }) => [...(verdicts?.acs ?? [])]));
  const own = new Map(ports.map((port) => [port.address, port]));
  const found = [...theirs].flatMap(([address, verdict]) => {
    const [said, ours] = [acsText(verdict), acsText(own.get(address))];
    return said === ours ? [] : [differ('acs', address, said, ours)];
  });
  const [whole] = opinions;
  // About parts of a node it writes parameters for parts of a node.
  if (opinions.length > 1 || !whole?.verdicts || whole.parameter === undefined) return found;
  const silent = ports.filter((port) => port.verdict !== 'NotAssessed' && !theirs.has(port.address));
  const ourParameter = parameter?.replace('pci=config_acs=', '') ?? '';
  return [
    ...found,
    ...silent.map((port) => differ('acs', port.address, 'nothing', acsText(port))),
    ...(ourParameter === whole.parameter ? [] : [differ('kernel parameter', undefined, whole.parameter, ourParameter)]),
  ];
}

/** Behind one switch it depends on the ATS of all of a node's NICs, so of a part nothing can be said. */
function knowsAcs({ about, answer }: Opinion): boolean {
  return about === undefined || (!isRefusal(answer) && answer.every(({ kind }) => kind === 'data direct'));
}

function acsText(port: AcsVerdict | PortAcs | undefined): string {
  if (!port || ('verdict' in port && port.verdict === 'NotAssessed')) return 'nothing';
  const right = 'verdict' in port ? port.verdict === 'Right' : port.right;
  return `${port.found} ${right ? 'is' : 'is not'} ${port.expected}`;
}

function inlineDiffers(paths: readonly Path[], { nic, gpu, numaNode }: InlineComplex): Difference[] {
  const path = paths.find(({ id }) => id === nic);
  return [
    ...(path && addresses(path).includes(gpu) ? [] : [differ('gpus', nic, gpu, list(path ? addresses(path) : []))]),
    ...needsDataDirect(path, nic),
    ...numaNodeDiffers(paths, nic, numaNode),
  ];
}

function numaDiffers(paths: readonly Path[], { nics, gpus, numaNode }: NumaComplex): Difference[] {
  return nics.flatMap((nic) => {
    const path = paths.find(({ id }) => id === nic);
    return [
      ...(path && equal(addresses(path), gpus)
        ? []
        : [differ('gpus', nic, list(gpus), list(path ? addresses(path) : []))]),
      ...needsDataDirect(path, nic),
      ...numaNodeDiffers(paths, nic, numaNode),
    ];
  });
}

function needsDataDirect(path: Path | undefined, nic: string): Difference[] {
  if (path?.state === 'Unavailable' || path?.reason === 'NotNeeded') return [];
  return [differ('platform', nic, 'no DMA function is needed', path?.reason ?? 'no path')];
}

/** What a refusal of rdma_topo's says, and how driver-core says the same; a refusal that is not here is an error. */
interface Meaning {
  readonly says: RegExp;
  /** Whether rdma_topo got as far as to pair, or not even that. */
  readonly leavesPairOpen: boolean;
  /** `paths` are those of the DMA function that was asked about, or of the node. */
  readonly agrees: (paths: readonly Path[]) => boolean;
}

/** What checks.ts comes to when the shape of a complex is right. */
const SHAPE_IS_RIGHT: ReadonlySet<string> = new Set(['Paired', 'IommuGroupMismatch', 'AcsMisconfigured', 'NotNeeded']);
const works = ({ reason }: Path): boolean => SHAPE_IS_RIGHT.has(reason);
const noneWorks = (paths: readonly Path[]): boolean => !paths.some(works);

const MEANINGS: readonly Meaning[] = [
  { says: /does not have a VPD V3 UUID/, leavesPairOpen: false, agrees: (paths) => paths.length === 0 },
  // No NIC has the DMA function's serial: rdma_topo takes the first of none.
  { says: /^IndexError/, leavesPairOpen: false, agrees: (paths) => paths.length === 0 },
  {
    says: /does not have a nearby GPU/,
    leavesPairOpen: true,
    agrees: (paths) => paths.every(({ gpus }) => gpus.length !== 1),
  },
  { says: /has unexpected PCI devices in the topology/, leavesPairOpen: true, agrees: noneWorks },
  { says: /unrecognized upstream path/, leavesPairOpen: true, agrees: noneWorks },
  { says: /No supported (topology|complex)/, leavesPairOpen: true, agrees: noneWorks },
  { says: /does not have a nearby CX NIC/, leavesPairOpen: true, agrees: noneWorks },
  { says: /Could not find root port/, leavesPairOpen: true, agrees: noneWorks },
  { says: /Multiple (CX NIC|GPU) DSPs/, leavesPairOpen: true, agrees: noneWorks },
  { says: /No (CX NICs|GPUs) found in NUMA-based complex/, leavesPairOpen: true, agrees: () => true },
];

function meaningOf({ says }: Refusal): Meaning {
  const meaning = MEANINGS.find((each) => each.says.test(says));
  if (!meaning) throw new Error(`rdma_topo refuses with words that are unknown here: ${says}`);
  return meaning;
}

function isUndecided(answer: Opinion['answer']): boolean {
  return isRefusal(answer) && meaningOf(answer).leavesPairOpen;
}

function refused(paths: readonly Path[], about: string | undefined, refusal: Refusal): Difference[] {
  const concerned =
    about === undefined
      ? paths
      : paths.filter(({ dma, gpus }) => (dma ? [dma] : gpus).some(({ address }) => address === about));
  if (meaningOf(refusal).agrees(concerned)) return [];
  return [differ('refusal', about, refusal.says, concerned.map(({ id, reason }) => `${id} ${reason}`).join(', '))];
}

function differ(kind: Kind, about: string | undefined, rdmaTopo: string, ours: string): Difference {
  return { kind, about, rdmaTopo, ours };
}

function addresses({ gpus }: Path): string[] {
  return gpus.map(({ address }) => address);
}

function equal(ours: readonly string[], theirs: readonly string[]): boolean {
  return list(ours) === list(theirs);
}

function list(names: readonly string[]): string {
  return names.toSorted().join(', ') || 'none';
}
