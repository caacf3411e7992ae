// PreStartContainer: whether the paths of a container still do what they were given for, at the last moment before it starts.
import { extendedResource, isHealthy, type PathReason } from '@data-direct/crds';
import type { Path, VerificationLevel } from '@data-direct/driver-core';

import { within } from '../delay.ts';
import { AgentError } from '../errors.ts';
import { pathIdOf, type Pool } from '../pool.ts';

/** Asks the kernel about these NICs anew. */
export type Verify = (nics: readonly string[], level: VerificationLevel) => Promise<readonly Path[]>;

/** The kubelet gives up after 30 s (KubeletPreStartContainerRPCTimeoutInSecs), and a device that hangs takes 5 s to be called so. */
const LIMIT_MS = 12_000;

/**
 * Rejects with DEVICE_UNKNOWN or PATH_NOT_VERIFIED. What counts is what the policy asks of a device that is handed out: under Preferred
 * a path that merely lost its DMA function is good enough. A path need not be the pool's any more: its container was given it once.
 */
export async function passes(pool: Pool, ids: readonly string[], node: readonly Path[], verify: Verify): Promise<void> {
  const { level } = pool.resource.verification;
  const asked = new Map(ids.map((id) => [pathIdOf(id), id]));
  const known = new Set(node.map((path) => path.id));
  for (const [path, id] of asked) if (!known.has(path)) throw unknown(pool, id);
  const verifying = verify([...asked.keys()], level);
  let paths: readonly Path[] = [];
  const inTime = await within(
    LIMIT_MS,
    verifying.then((seen) => (paths = seen)),
  );
  if (!inTime) throw failed(pool, ids, 'DeviceUnresponsive', `it took longer than ${LIMIT_MS / 1000} s`);
  for (const [pathId, id] of asked) {
    const path = paths.find((candidate) => candidate.id === pathId);
    if (!path) throw failed(pool, [id], 'DeviceUnresponsive', 'the NIC is gone');
    if (!isHealthy(path.reason, pool.resource.dataDirect))
      throw failed(pool, [id], path.reason, path.message, path.name);
  }
}

function unknown({ resource }: Pool, id: string): AgentError {
  const shown = JSON.stringify(id.slice(0, 100));
  return new AgentError('DEVICE_UNKNOWN', `${extendedResource(resource.name)} has no device ${shown}`, { id });
}

function failed(
  { resource }: Pool,
  ids: readonly string[],
  reason: PathReason,
  why: string,
  name?: string,
): AgentError {
  const called = [name, ids.join(', ')].filter(Boolean).join(' ');
  return new AgentError(
    'PATH_NOT_VERIFIED',
    `path ${called} of ${extendedResource(resource.name)} did not pass ${resource.verification.level} before the start of a container: ${reason}, ${why}`,
    { ids, reason },
  );
}
