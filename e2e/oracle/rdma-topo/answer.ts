// What rdma_topo said, as data: out of `topo -j`, which it promises to keep, and of the lines of `topo` and `check` where that holds less.
// Read at rdma-core 65; a line that is not understood is an error, never silence.

import type { Run } from './process.ts';

/** NICs, DMA function and GPU that belong together. */
export interface DataDirectComplex {
  readonly kind: 'data direct';
  readonly dma: string;
  /** The function that rdma_topo calls the complex's NIC: the first of `nics`. */
  readonly nic: string;
  /** Everything with the serial of the DMA function (VPD V3), other DMA functions too. */
  readonly nics: readonly string[];
  readonly gpu: string;
  /** Of `nic`; -1 where the platform says nothing. */
  readonly numaNode: number;
}

/** NIC and GPU behind one switch. */
export interface InlineComplex {
  readonly kind: 'inline';
  readonly nic: string;
  readonly gpu: string;
  readonly numaNode: number;
}

/** NICs and GPUs of one NUMA node, right below their root ports. */
export interface NumaComplex {
  readonly kind: 'numa';
  readonly nics: readonly string[];
  readonly gpus: readonly string[];
  readonly numaNode: number;
}

export type Complex = DataDirectComplex | InlineComplex | NumaComplex;

/** It gives no answer for a node of which it does not understand all. */
export interface Refusal {
  readonly kind: 'refused';
  readonly says: string;
}

export interface Verdicts {
  /** Whether DMA function and GPU are in one iommu group, by the DMA function's address. */
  readonly sameGroup: ReadonlyMap<string, boolean>;
  /** ACS of ports, by address. */
  readonly acs: ReadonlyMap<string, AcsVerdict>;
}

export interface AcsVerdict {
  readonly right: boolean;
  /** Seven bits, 6 to 0. */
  readonly found: string;
  /** Such as xx110x1. */
  readonly expected: string;
}

interface JsonComplex {
  readonly rdma_nic_pf_bdf?: string;
  readonly rdma_nic_boards?: readonly { readonly nics: readonly { readonly pf_bdfs: readonly string[] }[] }[];
  readonly rdma_dma_bdf?: string;
  readonly gpu_bdf?: string;
  readonly gpu_bdfs?: readonly string[];
  readonly numa_node: number;
}

/** `json` is the run of `topo -j`, `text` that of `topo`, which alone names every NIC of a DMA function. */
export function complexes(json: Run, text: Run): Complex[] | Refusal {
  if (json.status !== 0) return refusal(json);
  const nicsOf = nicsByDmaFunction(text.out);
  return (JSON.parse(json.out) as JsonComplex[]).map((entry) => complex(entry, nicsOf));
}

function complex(entry: JsonComplex, nicsOf: ReadonlyMap<string, readonly string[]>): Complex {
  const { rdma_nic_pf_bdf: nic, rdma_dma_bdf: dma, gpu_bdf: gpu, gpu_bdfs: gpus, numa_node: numaNode } = entry;
  if (nic !== undefined && dma !== undefined && gpu !== undefined)
    return { kind: 'data direct', dma, nic, nics: nicsOf.get(dma) ?? [], gpu, numaNode };
  if (nic !== undefined && gpu !== undefined) return { kind: 'inline', nic, gpu, numaNode };
  const boards = entry.rdma_nic_boards?.flatMap(({ nics }) => nics.flatMap((each) => each.pf_bdfs));
  const nics = boards ?? (nic === undefined ? [] : [nic]);
  if (gpus && nics.length > 0) return { kind: 'numa', nics, gpus, numaNode };
  throw new Error(`topo -j has an entry of an unknown kind: ${JSON.stringify(entry)}`);
}

/** "RDMA NIC=…, GPU=…, RDMA DMA Function=…", then indented lines, one of which is "NIC PCI devices: …". */
function nicsByDmaFunction(text: string): Map<string, string[]> {
  const blocks = text.matchAll(/^RDMA NIC=.*, RDMA DMA Function=(\S+)\n((?:\t.*\n?)*)/gm);
  return new Map(
    [...blocks].map(([, dma = '', lines = '']) => [
      dma,
      (/^\tNIC PCI devices?: (.*)$/m.exec(lines)?.[1] ?? '').split(', ').filter((name) => name !== ''),
    ]),
  );
}

/** Undefined where it gave up before it came to a verdict. */
export function verdicts(check: Run): Verdicts | undefined {
  if (check.status !== 0 && isRefusal(check)) return undefined;
  const sameGroup = new Map<string, boolean>();
  const acs = new Map<string, AcsVerdict>();
  for (const line of check.out.split('\n')) {
    const [, verdict, groupsOf] = /^(OK|FAIL)\tKernel iommu_group for DMA (\S+) and GPU /.exec(line) ?? [];
    if (groupsOf !== undefined) sameGroup.set(groupsOf, verdict === 'OK');
    const [, right, port, found = '', expected = ''] = ACS_LINE.exec(line) ?? [];
    if (port !== undefined) acs.set(port, { right: right === 'OK', found, expected });
    if (groupsOf === undefined && port === undefined && !OTHER_LINE.test(line))
      throw new Error(`check says something unknown: ${line}`);
  }
  return { sameGroup, acs };
}

const ACS_LINE = /^(OK|FAIL)\tACS for \S+ (\S+) has (?:in)?correct values ([01]+) !?= ([x01]+)/;
/** What it says of nodes without DMA function, and its first line. */
const OTHER_LINE =
  /^$|^OK\tAll |^(OK|FAIL)\t(ATS capability for |Kernel iommu_groups? |All kernel iommu_groups |Multiple devices share )/;

/** Out of the lines for GRUB. Empty where no port needs one; undefined where it gave up. */
export function kernelParameter(writeGrubAcs: Run): string | undefined {
  if (writeGrubAcs.status !== 0) return undefined;
  const [, settings] = /pci=config_acs=\\"(.*)\\""$/m.exec(writeGrubAcs.out) ?? [];
  if (settings === undefined) throw new Error(`write-grub-acs says something unknown: ${writeGrubAcs.out}`);
  return settings;
}

/** A refusal by name ("E: …"), or an exception of Python's. */
function isRefusal({ out, err }: Run): boolean {
  return out.startsWith('E: ') || err !== '';
}

function refusal({ out, err }: Run): Refusal {
  const says = err === '' ? out.trim() : (err.trim().split('\n').at(-1) ?? '');
  return { kind: 'refused', says };
}
