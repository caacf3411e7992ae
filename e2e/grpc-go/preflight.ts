// Whether the suite can run here: it needs Go, which builds the two programs. What they lean on comes from the Go module proxy, pinned by go.sum.
import { join } from 'node:path';

import { findGo } from '../cluster/toolchain/go.ts';
import { RigError } from '../rig/errors.ts';
import { run } from '../rig/run.ts';

/** Cold, with a slow proxy and a busy machine. */
const LONGEST_MS = 15 * 60_000;
const built = join(import.meta.dirname, '../../build/grpc-go');

export interface Programs {
  readonly kubelet: string;
  readonly plugin: string;
}

/** The programs, or what is missing, as it reads in "the grpc-go suite needs …". */
export async function prepare(): Promise<Programs | string> {
  try {
    const go = await findGo();
    await run(go, ['build', '-mod=readonly', '-trimpath', `-o=${built}/`, './kubelet', './plugin'], {
      cwd: import.meta.dirname,
      env: { CGO_ENABLED: '0', GOWORK: 'off' },
      timeoutMs: LONGEST_MS,
    });
    return { kubelet: join(built, 'kubelet'), plugin: join(built, 'plugin') };
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    return `Go with its modules, which could not be had: ${error.message}`;
  }
}

declare module 'vitest' {
  interface ProvidedContext {
    programs: Programs;
  }
}
