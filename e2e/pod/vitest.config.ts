import { defineConfig } from 'vitest/config';

import { obstacle as clusterObstacle } from '../cluster/preflight.ts';
import { obstacle as kernelObstacle } from '../kernel/preflight.ts';

// A pod on real drivers. Where it cannot run it is skipped with a line that says why; in CI that is a failure.
const why = (await clusterObstacle()) ?? (await kernelObstacle());
if (why !== undefined) {
  if (process.env['CI'] === 'true') throw new Error(`the pod suite cannot run here: ${why}`);
  console.log(`skipped: the pod suite cannot run here: ${why}`);
}

export default defineConfig({
  resolve: { conditions: ['@data-direct/source'] },
  ssr: { resolve: { conditions: ['@data-direct/source'] } },
  test: {
    root: import.meta.dirname,
    include: why === undefined ? ['suite/**/*.test.ts'] : [],
    passWithNoTests: why !== undefined,
    reporters: ['default', [new URL('../../scripts/unfinished.ts', import.meta.url).pathname, { minutes: 45 }]],
    testTimeout: 300_000,
    hookTimeout: 1_800_000, // what the node is made of may have to be built
  },
});
