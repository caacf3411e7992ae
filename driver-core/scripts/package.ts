// What `npm pack` ships as code, under dist/package: the library and the CLI as bundles that need koffi alone, and their types. The table of reasons
// comes from the room @data-direct/crds, which is not published: it is bundled, and its types are copied (docs/adr/0011).
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { builtinsAsUsed, bundleCommandLine } from './command-line.ts';

const room = fileURLToPath(new URL('..', import.meta.url));
/** Another directory may be named, for a test that leaves the checkout alone. */
const output = resolve(process.argv[2] ?? join(room, 'dist/package'));

/** Fixtures are shipped as files, for people too; dist/package is as deep below them as src/virtual. */
const FIXTURES = '../../fixtures/*.json';

async function bundle(): Promise<void> {
  await bundleCommandLine({ directory: output, name: 'cli', extension: '.js', external: [FIXTURES] });
  await build({
    absWorkingDir: room,
    entryPoints: ['src/index.ts'],
    outdir: output,
    bundle: true,
    splitting: true,
    chunkNames: 'shared-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node24',
    conditions: ['@data-direct/source'],
    external: ['koffi', FIXTURES],
    plugins: [builtinsAsUsed],
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    logLevel: 'warning',
  });
}

const FACE = 'dist/src/index.d.ts';
const RENAMED = { '@data-direct/crds': '../crds/dist/reasons.d.ts' };
/** import … from './x.ts', export … from './x.ts'; and import('./x.ts') inside of types. */
const SPECIFIER = /(from |import\()(['"])(\.[^'"]+|@data-direct\/[^'"]+)\2/g;

/** The declarations that the library's face leads to, as the compiler wrote them. */
function copyTypes(): void {
  execFileSync('tsc', ['-b', room], { stdio: ['ignore', 'inherit', 'inherit'] });
  const pending = [join(room, FACE)];
  const copied = new Set<string>();
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (copied.has(file)) continue;
    copied.add(file);
    pending.push(...copyDeclaration(file));
  }
}

/** Copies one file and returns those that it refers to. */
function copyDeclaration(file: string): string[] {
  const found: string[] = [];
  const text = readFileSync(file, 'utf8').replace(SPECIFIER, (_, word: string, quote: string, specifier: string) => {
    const target = declarationOf(file, specifier);
    found.push(target);
    const path = relative(dirname(placeOf(file)), placeOf(target)).replace(/\.d\.ts$/, '.js');
    return `${word}${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`;
  });
  mkdirSync(dirname(placeOf(file)), { recursive: true });
  writeFileSync(placeOf(file), text.replace(/^\/\/# sourceMappingURL=.*$/m, ''));
  return found;
}

function declarationOf(from: string, specifier: string): string {
  const renamed = Object.entries(RENAMED).find(([name]) => name === specifier)?.[1];
  return renamed === undefined ? resolve(dirname(from), specifier.replace(/\.(ts|js)$/, '.d.ts')) : join(room, renamed);
}

/** dist/src/path/path.d.ts → dist/package/types/driver-core/path/path.d.ts, and crds beside it. */
function placeOf(file: string): string {
  const [place] = [
    ['dist/src', 'driver-core'],
    ['../crds/dist', 'crds'],
  ].flatMap(([from = '', to = '']) => {
    const below = relative(join(room, from), file);
    return below.startsWith('..') ? [] : [join(output, 'types', to, below)];
  });
  if (place === undefined) throw new Error(`${file} is a declaration of neither driver-core nor crds`);
  return place;
}

rmSync(output, { recursive: true, force: true });
await bundle();
copyTypes();
cpSync(join(room, '../LICENSE'), join(output, 'LICENSE'));
