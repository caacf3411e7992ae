// Writes what follows from crds/src/schema.ts: the CRD manifests, their copies in the chart, the API reference, and shapes for programs.
// With --check nothing is written: files that differ are named and the exit code is 1.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { DEFINITIONS, customResourceDefinition } from '@data-direct/crds/manifests';
import { apiReference } from '@data-direct/crds/reference';
import { shapesModule } from '@data-direct/crds/shape-tables';
import { format, resolveConfig } from 'prettier';
import { stringify } from 'yaml';

const root = new URL('../', import.meta.url);
const headline = '# Generated from crds/src/schema.ts by `make generate`. Do not edit.\n';

/** Every generated file, by its path in the checkout. */
function generate(): Map<string, string> {
  const files = new Map<string, string>([
    ['docs/reference/api.md', apiReference(DEFINITIONS)],
    ['crds/src/generated/shapes.ts', shapesModule()],
  ]);
  for (const definition of DEFINITIONS) {
    const manifest = customResourceDefinition(definition);
    // The API server reads YAML 1.1, to which an unquoted Off is a boolean.
    const text = headline + stringify(manifest, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 });
    // Helm reads only files inside the chart's directory, hence the copy.
    for (const folder of ['crds/manifests', 'charts/data-direct/files/crds'])
      files.set(`${folder}/${manifest.metadata.name}.yaml`, text);
  }
  return files;
}

async function readIfThere(path: URL): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

const { check } = parseArgs({ options: { check: { type: 'boolean', default: false } } }).values;
let differing = 0;
for (const [name, text] of generate()) {
  const path = new URL(name, root);
  const filepath = fileURLToPath(path);
  const wanted = await format(text, { ...(await resolveConfig(filepath)), filepath });
  if ((await readIfThere(path)) === wanted) continue;
  differing++;
  if (!check) {
    await mkdir(dirname(filepath), { recursive: true });
    await writeFile(path, wanted);
  }
  console.log(check ? `${name} differs from its source; run make generate` : `wrote ${name}`);
}
if (check && differing > 0) process.exitCode = 1;
