import { defineConfig } from 'vitest/config';

import { obstacle } from './preflight.ts';
import { TableReporter } from './suite/table-reporter.ts';

// The suite on real kernels. Where it cannot run it is skipped with a line that says why; in CI that is a failure.
const why = await obstacle();
if (why !== undefined) {
  if (process.env['CI'] === 'true') throw new Error(`the kernel suite cannot run here: it needs ${why}`);
  console.log(`skipped: the kernel suite needs ${why}`);
}

export default defineConfig({
  resolve: { conditions: ['@data-direct/source'] },
  ssr: { resolve: { conditions: ['@data-direct/source'] } },
  test: {
    root: import.meta.dirname,
    include: why === undefined ? ['suite/**/*.test.ts'] : [],
    passWithNoTests: why !== undefined,
    reporters: [
      'default',
      [new URL('../../scripts/unfinished.ts', import.meta.url).pathname, { minutes: 20 }],
      new TableReporter(),
    ],
    maxWorkers: 2, // a machine for each kernel; vitest by itself would run one after the other on two cores
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
