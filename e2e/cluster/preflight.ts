// Whether the cluster suite can run on this machine: what it needs and cannot install by itself.
import { RigError } from '../rig/errors.ts';
import { requireMachine } from './cluster.ts';
import { findGo } from './toolchain/go.ts';

/** One sentence on what is missing; undefined where the suite can run. */
export async function obstacle(): Promise<string | undefined> {
  try {
    requireMachine();
    await findGo();
    return undefined;
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    return error.message;
  }
}
