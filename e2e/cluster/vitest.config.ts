import { defineConfig } from 'vitest/config';

import { obstacle } from './preflight.ts';

// The suite on a real Kubernetes. Where it cannot run it is skipped with a line that says why; in CI that is a failure.
const why = await obstacle();
if (why !== undefined) {
  if (process.env['CI'] === 'true') throw new Error(`the cluster suite cannot run here: ${why}`);
  console.log(`skipped: the cluster suite cannot run here: ${why}`);
}

export default defineConfig({
  resolve: { conditions: ['@data-direct/source'] },
  ssr: { resolve: { conditions: ['@data-direct/source'] } },
  test: {
    reporters: ['default', [new URL('../../scripts/unfinished.ts', import.meta.url).pathname, { minutes: 45 }]],
    root: import.meta.dirname,
    include: why === undefined ? ['suite/**/*.test.ts'] : [],
    passWithNoTests: why !== undefined,
    fileParallelism: false,
    bail: 8, // vitest counts a test and what it stands in: a cluster that is dead fails everything, each after its own patience
    testTimeout: 240_000,
    hookTimeout: 300_000,
  },
});
