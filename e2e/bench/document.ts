// docs/benchmarks.md: each bench writes its own section, between two marks; the words around them are for people.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { format, resolveConfig } from 'prettier';

const file = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));

/** Throws where the document has no such section. */
export async function putSection(name: string, text: string): Promise<void> {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const document = readFileSync(file, 'utf8');
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no section between ${begin} and ${end}`);
  const changed = `${document.slice(0, from)}${begin}\n\n${text.trim()}\n\n${document.slice(to)}`;
  writeFileSync(file, await format(changed, { ...(await resolveConfig(file)), filepath: file }));
}
