// Everything the node is made of, on disk and ready to start: from the cache, or built now.

import { testImagesPart } from '../images/test-images.ts';
import { withCache } from '../../rig/cache.ts';
import { ensurePart } from '../../rig/part.ts';
import { clientsPart } from './clients.ts';
import { ensureDebianPackages } from './debian.ts';
import { goParts } from './go.ts';
import type { Part, PartName } from './parts.ts';
import { rdmaCorePart } from './rdma-core.ts';
import type { Report } from '../../rig/progress.ts';

/** The directory of each part: its programs, or its image archives. */
export type Toolchain = Readonly<Record<PartName, string>>;

/** Quick ones first: what is wrong with them is told before the minutes of compiling. */
const parts: readonly Part[] = [testImagesPart, rdmaCorePart, ...goParts];

export async function ensureToolchain(report: Report, signal?: AbortSignal): Promise<Toolchain> {
  const clients = await ensureClients(report, signal);
  return withCache('cluster', report, async (root) => {
    await ensureDebianPackages(report, signal);
    const directories: Partial<Record<PartName, string>> = { clients };
    for (const part of parts) directories[part.name] = await ensurePart(root, part, report, signal);
    return directories as Toolchain;
  });
}

/**
 * The directory of kubectl and Helm alone, for tests that need no node. It has a cache and a lock of its own: those tests are not to wait for
 * minutes of compiling.
 */
export async function ensureClients(report: Report, signal?: AbortSignal): Promise<string> {
  return withCache('clients', report, (root) => ensurePart(root, clientsPart, report, signal));
}
