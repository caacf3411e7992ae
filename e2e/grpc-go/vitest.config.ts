import { defineConfig } from 'vitest/config';

import { prepare } from './preflight.ts';

// Our two ends of the kubelet's protocols against grpc-go. Where it cannot run it is skipped with a line that says why; in CI that is a failure.
const programs = await prepare();
const missing = typeof programs === 'string' ? programs : undefined;
if (missing !== undefined) {
  if (process.env['CI'] === 'true') throw new Error(`the grpc-go suite cannot run here: it needs ${missing}`);
  console.log(`skipped: the grpc-go suite needs ${missing}`);
}

export default defineConfig({
  resolve: { conditions: ['@data-direct/source'] },
  ssr: { resolve: { conditions: ['@data-direct/source'] } },
  test: {
    reporters: ['default', [new URL('../../scripts/unfinished.ts', import.meta.url).pathname, { minutes: 5 }]],
    root: import.meta.dirname,
    include: missing === undefined ? ['suite/**/*.test.ts'] : [],
    passWithNoTests: missing !== undefined,
    provide: typeof programs === 'string' ? {} : { programs },
    testTimeout: 30_000,
  },
});
