import { defineConfig } from 'vitest/config';

import { prepare } from './preflight.ts';

// The suite that holds driver-core against what others wrote. Where it cannot run it is skipped with a line that says why; in CI that is
// a failure.
const oracles = await prepare();
const missing = typeof oracles === 'string' ? oracles : undefined;
if (missing !== undefined) {
  if (process.env['CI'] === 'true') throw new Error(`the oracle suite cannot run here: it needs ${missing}`);
  console.log(`skipped: the oracle suite needs ${missing}`);
}

export default defineConfig({
  resolve: { conditions: ['@data-direct/source'] },
  ssr: { resolve: { conditions: ['@data-direct/source'] } },
  test: {
    reporters: ['default', [new URL('../../scripts/unfinished.ts', import.meta.url).pathname, { minutes: 20 }]],
    root: import.meta.dirname,
    include: missing === undefined ? ['suite/**/*.test.ts'] : [],
    passWithNoTests: missing !== undefined,
    provide: typeof oracles === 'string' ? {} : { oracles },
    testTimeout: 600_000,
  },
});
