// What runs on every node is small: packages that cost tens of MiB there must not creep in.
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('the agent loads neither zod nor a Kubernetes client', async () => {
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@data-direct/source'],
    external: ['koffi'],
    logLevel: 'error',
  });
  const files = Object.keys(metafile.inputs);
  const packages = new Set(files.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
  expect(packages).toContain('@grpc/grpc-js');
  for (const heavy of ['zod', '@kubernetes/client-node', 'undici', 'ajv']) expect(packages).not.toContain(heavy);
});
