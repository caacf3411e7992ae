// The policies that people copy, from examples/, the README and the chart's notes, are what the API takes.
import { readFileSync, readdirSync } from 'node:fs';

import { GROUP } from '@data-direct/crds';
import { dataDirectPathSpecSchema } from '@data-direct/crds/schema';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

interface Shown {
  readonly where: string;
  readonly object: { apiVersion?: string; kind?: string; spec?: unknown };
}

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

/** YAML 1.1, as kubectl reads it: an unquoted On is a boolean there. */
function shownIn(where: string, text: string): Shown[] {
  const documents = parseAllDocuments(text, { version: '1.1' }) as { toJS(): Shown['object'] | null }[];
  return documents.map((document) => ({ where, object: document.toJS() ?? {} }));
}

const readme = [...read('README.md').matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? '');
// Not indented: a shell ends a here-document at a line that is EOF and nothing else.
const notes =
  /^kubectl apply -f - <<EOF\n(.*?)\nEOF$/ms.exec(read('charts/data-direct/templates/NOTES.txt'))?.[1] ?? '';
const policies = [
  ...readdirSync(new URL('../examples', import.meta.url)).flatMap((name) => shownIn(name, read(`examples/${name}`))),
  ...readme.flatMap((text) => shownIn('README', text)),
  ...shownIn('NOTES.txt', notes),
].filter(({ object }) => object.kind === 'DataDirectPath');

test.each(policies)('the policy in $where is valid and has no unknown fields', ({ object }) => {
  expect(object.apiVersion).toBe(`${GROUP}/v1alpha1`);
  expect(dataDirectPathSpecSchema.parse(object.spec)).toMatchObject(object.spec as object);
});

test('each of these places shows a policy', () => {
  expect(policies.map(({ where }) => where)).toEqual(
    expect.arrayContaining(['datadirectpath.yaml', 'datadirectpath-required.yaml', 'README', 'NOTES.txt']),
  );
});
