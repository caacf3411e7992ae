// Something that a rig needs on disk and that costs time to get: built or fetched once, then taken from the cache.

import { join } from 'node:path';
import { buildIntoCache, cacheName, isCached } from './cache.ts';
import { type Report, reported, type Step } from './progress.ts';

export interface Part<Name extends string = string> {
  readonly name: Name;
  readonly version: string;
  /** How its building reads in the progress lines. */
  readonly about: string;
  /** Everything that, if it changed, would make another result. */
  inputs(): Promise<readonly string[]>;
  build(directory: string, step: Step, signal?: AbortSignal): Promise<void>;
}

/** The directory of the part; see withCache for who may call this. */
export async function ensurePart(root: string, part: Part, report: Report, signal?: AbortSignal): Promise<string> {
  const name = cacheName(part.name, part.version, await part.inputs());
  if (!(await isCached(root, name))) {
    await reported(report, part.about, (step) =>
      buildIntoCache(root, name, (directory) => part.build(directory, step, signal)),
    );
  }
  return join(root, name);
}
