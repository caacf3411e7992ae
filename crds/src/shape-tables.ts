// The schemas as tables for programs that check objects without zod, which costs 17 MiB at run time. Written to generated/shapes.ts.
import { z } from 'zod';

import { dataDirectNodeSpecSchema, dataDirectPathSpecSchema } from './schema.ts';

const SHAPES = { nodeSpecShape: dataDirectNodeSpecSchema, pathSpecShape: dataDirectPathSpecSchema };

/** Words that only matter to the API server or to readers of the CRD. */
const LEFT_OUT = /^(\$schema|description|propertyNames|x-kubernetes-.*)$/;

/** The text of generated/shapes.ts. */
export function shapesModule(): string {
  const tables = Object.entries(SHAPES).map(([name, schema]) => {
    const shape: unknown = z.toJSONSchema(schema, { target: 'draft-7', io: 'input', reused: 'inline' });
    const text = JSON.stringify(shape, (key, value: unknown) => (LEFT_OUT.test(key) ? undefined : value), 2);
    return `export const ${name}: Schema = ${text};\n`;
  });
  return [
    '// Generated from crds/src/schema.ts by `make generate`; do not edit.',
    "import type { Schema } from '../shape.ts';\n",
    ...tables,
  ].join('\n');
}
