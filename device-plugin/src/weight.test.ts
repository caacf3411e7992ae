// What runs on every node is small: packages that cost tens of MiB there must not creep in.
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { expect, test } from 'vitest';

test.each(['zod', '@kubernetes/client-node', 'undici', 'ajv'])('the agent does not load %s', async (name) => {
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
  const packages = Object.keys(metafile.inputs).flatMap(
    (file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? [],
  );
  expect(packages).toContain('@grpc/grpc-js');
  expect(packages).not.toContain(name);
});
