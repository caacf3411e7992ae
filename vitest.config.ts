import { defineConfig } from 'vitest/config';

// Tests live beside the code they speak about; the big rigs (real Kubernetes, real kernel) have configs of their own in e2e/.
export default defineConfig({
  resolve: { conditions: ['@data-direct/source'] },
  ssr: { resolve: { conditions: ['@data-direct/source'] } },
  test: {
    reporters: ['default', [new URL('./scripts/unfinished.ts', import.meta.url).pathname, { minutes: 5 }]],
    include: ['{crds,process,driver-core,kube,device-plugin,operator,scripts,e2e}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'e2e/*/suite/**'],
    setupFiles: ['scripts/properties.ts'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
