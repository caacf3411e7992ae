// A /sys in which anything may stand, and one that changes while it is read.

import { type Files, type RoundOptions, withDoors } from '@data-direct/driver-core';
import * as fc from 'fast-check';
import type { Directory, Entry } from '../../../driver-core/src/virtual/filesystem.ts';
import { errno as errnoOf, type ErrnoName } from '../../../driver-core/src/virtual/kernel/errno.ts';
import { judgeCommands, judgeRounds } from '../judge.ts';
import { hostOf, machineName } from '../machines.ts';
import { bytes, inTurn, type Target, target } from '../target.ts';

const errnoName = fc.constantFrom<ErrnoName>(
  'ENOENT',
  'EIO',
  'EACCES',
  'ENODEV',
  'EINVAL',
  'ENOTDIR',
  'ETIMEDOUT',
  'EBUSY',
);

/** One entry of the tree replaced. */
type Spoil =
  | { readonly kind: 'absent' }
  | { readonly kind: 'content'; readonly content: Buffer }
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'errno'; readonly errno: ErrnoName }
  | { readonly kind: 'name'; readonly name: string };

const text = fc.oneof(
  fc.constantFrom('', '\n', '-1\n', '99999999999999999999\n', '0x\n', '4: ACTIVE', 'Y\n', 'pci:v\n', '\u001b[2J', '\0'),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
/** Of names the kernel only says that they hold no slash and no NUL. */
const name = fc
  .oneof(
    fc.constantFrom(
      'mlx5_0',
      'uverbs0',
      'umad0',
      'issm0',
      'mlx5_0\u001b[31m',
      '..x',
      '0009:03:00.0',
      '10000:00:00.0',
      'ü',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  )
  .map((each) => each.replaceAll(/[/\0]/g, '_'))
  .filter((each) => each !== '.' && each !== '..');

const spoil: fc.Arbitrary<Spoil> = fc.oneof(
  fc.constant<Spoil>({ kind: 'absent' }),
  fc
    .oneof(
      text.map((each) => Buffer.from(each)),
      bytes(4096),
    )
    .map((content): Spoil => ({ kind: 'content', content })),
  fc.constant<Spoil>({ kind: 'directory' }),
  fc
    .constantFrom('.', '..', '/', 'nowhere', '../../../../../../../../..', '../0009:00:00.0', '')
    .map((to): Spoil => ({ kind: 'link', to })),
  errnoName.map((errno): Spoil => ({ kind: 'errno', errno })),
  name.map((each): Spoil => ({ kind: 'name', name: each })),
);

/** Entries by their own name, of which a tree has many. */
const NAMES =
  'modalias config vpd numa_node iommu_group driver physfn devices netns_mode port infiniband infiniband_verbs infiniband_mad net state link_layer mlx5_0 uverbs0 ports sfnum auxiliary';
/** The name, and the how manieth of those. */
const place = fc.tuple(fc.constantFrom(...NAMES.split(' ')), fc.nat(64));

const rounds = fc.array(
  fc.record(
    {
      verification: fc.constantFrom('None', 'Probe', 'Registration'),
      trigger: fc.constantFrom({ kind: 'rescan' }, { kind: 'gap' }, { kind: 'uevents', functions: ['0009:03:00.0'] }),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<RoundOptions>,
  { minLength: 1, maxLength: 3 },
);

const content = target(
  'sysfs',
  'whatever stands in /sys, every path has a reason and every command ends',
  fc.record({ machine: machineName, spoiled: fc.array(fc.tuple(place, spoil), { maxLength: 12 }), rounds }),
  async ({ machine, spoiled, rounds: options }) => {
    const host = hostOf(machine);
    for (const [[entry, index], how] of spoiled) replace(host.sysfsTree.root, entry, index, how);
    await judgeRounds(host, options);
    await judgeCommands(host, false);
  },
);

function replace(root: Directory, entry: string, index: number, how: Spoil): void {
  const all = [...named(root, entry)];
  const directory = all[index % all.length];
  const old = directory?.entries.get(entry);
  if (!directory || !old) return;
  directory.entries.delete(entry);
  const replaced = replacement(how, old);
  if (replaced) directory.entries.set(how.kind === 'name' ? how.name : entry, replaced);
}

function replacement(how: Spoil, old: Entry): Entry | undefined {
  if (how.kind === 'content') return { kind: 'file', content: how.content };
  if (how.kind === 'directory') return { kind: 'directory', entries: new Map() };
  if (how.kind === 'link') return { kind: 'link', target: how.to, identity: undefined };
  if (how.kind === 'errno') return { kind: 'file', content: Buffer.alloc(0), fails: errnoOf(how.errno, 'spoiled') };
  return how.kind === 'name' ? old : undefined;
}

/** Directories that hold an entry of this name. */
function* named(directory: Directory, entry: string): Generator<Directory> {
  if (directory.entries.has(entry)) yield directory;
  for (const below of directory.entries.values()) if (below.kind === 'directory') yield* named(below, entry);
}

/** Mostly the truth, so that a round comes far. */
const answers = fc.array(
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: errnoName }),
  {
    minLength: 1,
    maxLength: 60,
  },
);

const vanishing = target(
  'vanishing',
  'files that come and go between two reads leave every path with a reason',
  fc.record({ machine: machineName, answers, rounds }),
  async ({ machine, answers: given, rounds: options }) => {
    const host = hostOf(machine);
    const next = inTurn(given);
    const changing = withDoors(host, { sysfs: unreliable(host.sysfs, next), proc: unreliable(host.proc, next) });
    await judgeRounds(changing, options);
    await judgeCommands(changing, true);
  },
);

function unreliable(files: Files, next: () => ErrnoName | undefined): Files {
  return new Proxy(files, {
    get:
      (real, method: keyof Files) =>
      (path: string, device: string): unknown => {
        const code = next();
        const lie = code && errnoOf(code, path);
        if (method === 'readSlow') return lie ? Promise.resolve(lie) : real.readSlow(path, device);
        return lie ?? real[method](path);
      },
  });
}

export const sysfsTargets: readonly Target[] = [content, vanishing];
