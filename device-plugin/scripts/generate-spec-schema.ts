// Writes src/generated/node-spec-schema.ts from the zod schema of DataDirectNode.spec; with --check it only compares.
// The agent reads specs from files and the checkpoint too, and zod costs 17 MiB at run time: it brings this table instead.
import { fileURLToPath } from 'node:url';

import { dataDirectNodeSpecSchema } from '@data-direct/crds/schema';
import { z } from 'zod';

import { writeOrCheck } from './generated-files.ts';

const schema: unknown = z.toJSONSchema(dataDirectNodeSpecSchema, { target: 'draft-7', io: 'input', reused: 'inline' });

/** Words that only matter to the API server or to readers of the CRD. */
const LEFT_OUT = /^(\$schema|description|propertyNames|x-kubernetes-.*)$/;

const text = JSON.stringify(schema, (key, value: unknown) => (LEFT_OUT.test(key) ? undefined : value), 2);
const file = `// Generated from crds/src/schema.ts by device-plugin/scripts/generate-spec-schema.ts; do not edit.
import type { Schema } from '../shape.ts';

export const nodeSpecSchema: Schema = ${text};
`;
writeOrCheck(
  fileURLToPath(new URL('../src/generated', import.meta.url)),
  new Map([['node-spec-schema.ts', file]]),
  'crds/src/schema.ts',
);
