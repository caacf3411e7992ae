// docs/reference/api.md, made from the same schemas as the CRD manifests.
import type { Definition } from './manifests.ts';
import { type StructuralSchema, toStructuralSchema, walk } from './structural.ts';
import { API_VERSION } from './types.ts';

export function apiReference(definitions: readonly Definition[]): string {
  return [
    '# API reference',
    `Group and version: \`${API_VERSION}\`. All kinds are cluster-scoped. Generated from \`crds/src/schema.ts\` by \`make generate\`.`,
    ...definitions.flatMap((definition) => [
      `## ${definition.kind}`,
      definition.description,
      `Short names: ${definition.shortNames.map(code).join(', ')}.`,
      ...(['spec', 'status'] as const).flatMap((part) => [
        `### ${definition.kind} ${part}`,
        table(toStructuralSchema(definition[part]), part),
      ]),
    ]),
  ].join('\n\n');
}

function table(schema: StructuralSchema, part: string): string {
  const needed = new Set<string>();
  const rows = [];
  for (const [path, field] of walk(schema, part)) {
    for (const name of field.required ?? []) needed.add(`${path}.${name}`);
    // Elements without a description of their own are told by the type of their list.
    if (path !== part && field.description !== undefined) rows.push(row(path, field, needed.has(path)));
  }
  return ['| field | type | default | description |', '|---|---|---|---|', ...rows].join('\n');
}

function row(path: string, field: StructuralSchema, isRequired: boolean): string {
  const { default: value, description = '' } = field;
  const isNestedDefault = typeof value === 'object' && field.type === 'object';
  const shown = isRequired ? 'required' : value === undefined || isNestedDefault ? '' : code(JSON.stringify(value));
  return `| ${code(path)} | ${typeOf(field)} | ${shown} | ${description.replaceAll('<', String.raw`\<`)} |`;
}

function typeOf(field: StructuralSchema): string {
  // A longer list of words has a page of its own, which the description names.
  if (field.enum && field.enum.length <= 8) return field.enum.map(code).join(', ');
  if (field.items) return `list of ${typeOf(field.items)}`;
  if (field.additionalProperties) return `map to ${typeOf(field.additionalProperties)}`;
  return field.format === 'date-time' ? 'time' : field.type;
}

function code(text: string): string {
  return `\`${text}\``;
}
