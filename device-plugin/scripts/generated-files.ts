// A directory of generated files: written, or with --check only compared, so that CI sees drift.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** `files`: name → text, the whole directory. */
export function writeOrCheck(directory: string, files: ReadonlyMap<string, string>, source: string): void {
  const shown = relative(process.cwd(), directory);
  const different = differing(directory, files);
  if (process.argv.includes('--check')) {
    if (different.length === 0) return;
    console.error(`${shown} differs from ${source} in ${different.join(', ')}; run make generate`);
    process.exitCode = 1;
    return;
  }
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of files) writeFileSync(join(directory, name), text);
  console.log(`${shown}: ${different.length === 0 ? 'unchanged' : `changed ${different.join(', ')}`}`);
}

function differing(directory: string, files: ReadonlyMap<string, string>): string[] {
  const present = existsSync(directory) ? readdirSync(directory) : [];
  const changed = [...files.keys()].filter(
    (name) => !present.includes(name) || readFileSync(join(directory, name), 'utf8') !== files.get(name),
  );
  return [...changed, ...present.filter((name) => !files.has(name))];
}
