// Bundles the three programs under build/bundle, with koffi's native modules beside them: agent and operator into one file each.
// What an image looks like around them is scripts/image's matter.

import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build, type Metafile, type Plugin } from 'esbuild';
import { bundleCommandLine, COMMAND_LINE } from '../driver-core/scripts/command-line.ts';
import { type Architecture, architectures, hostArchitecture, parseArchitectures } from './image/architectures.ts';
import { runToEnd } from './image/errors.ts';
import { lockedPackage } from './image/npm.ts';
import { copyInto } from './image/tree.ts';
import { licenceTexts } from './image/licences.ts';

const checkout = fileURLToPath(new URL('..', import.meta.url));
export const bundleDirectory = join(checkout, 'build/bundle');

/** Bundle name → entry file. */
export const programs = {
  agent: 'device-plugin/src/main.ts',
  operator: 'operator/src/main.ts',
  'data-direct': COMMAND_LINE,
} as const;

/** Of koffi only what `import 'koffi'` reads: its loader, and per architecture the module that is linked with glibc. */
const koffiFiles = ['package.json', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js', 'LICENSE.txt'];
const koffiNativeFiles = (npmArchitecture: string): readonly string[] => [
  'package.json',
  'index.js',
  `linux_${npmArchitecture}/koffi.node`,
];

/** Packages that were written for CommonJS call `require` for Node's own modules. */
const banner =
  "import { createRequire as createRequireOfBundle } from 'node:module';\n" +
  'const require = createRequireOfBundle(import.meta.url);';

/**
 * `import` of node:http reads every name it exports, and behind one of them, WebSocket, is all of undici: 4 MiB of working set and some
 * milliseconds for an agent that never uses it (Node 24: lib/http.js, lazyUndici). `require` reads what is asked for.
 */
const httpWithoutUndici: Plugin = {
  name: 'node:http without undici',
  setup(bundling) {
    const namespace = 'required';
    bundling.onResolve({ filter: /^node:http$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace } : null,
    );
    bundling.onLoad({ filter: /.*/, namespace }, ({ path }) => ({ contents: `module.exports = require('${path}');` }));
  },
};

export interface BundleOptions {
  readonly entries: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly architectures: readonly Architecture[];
}

export async function bundle(options: BundleOptions): Promise<void> {
  const { directory } = options;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const metafiles = Object.entries(options.entries).map(([name, file]) =>
    file === COMMAND_LINE
      ? bundleCommandLine({ directory, name, extension: '.mjs' })
      : bundleProgram(name, file, directory),
  );
  const inputs = (await Promise.all(metafiles)).flatMap(packageInputs);
  await copyFiles(join(checkout, 'node_modules/koffi'), join(directory, 'node_modules/koffi'), koffiFiles);
  for (const architecture of options.architectures) await addNativeModule(directory, architecture);
  await writeFile(
    join(directory, 'licences.txt'),
    await licenceTexts(checkout, [...new Set([...inputs, 'node_modules/koffi'])]),
  );
}

/**
 * Names stay as they are written and lines stay short, so that a stack trace out of somebody's log says where it
 * happened. V8 keeps the source text in its heap: without white space it is a third smaller (measured: 1 MiB less
 * memory); short names make it smaller still, but keeping them for stack traces then costs 3 MiB of function objects.
 * Source maps are written for us and not shipped: reading one back costs memory in a process already in trouble.
 */
async function bundleProgram(name: string, file: string, directory: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: checkout,
    entryPoints: { [name]: file },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    conditions: ['@data-direct/source'],
    external: ['koffi'],
    plugins: [httpWithoutUndici],
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    sourcemap: 'external',
    sourcesContent: false,
    legalComments: 'none', // the whole licence texts are in licences.txt
    banner: { js: banner },
    logLevel: 'warning',
  });
  return metafile;
}

async function addNativeModule(directory: string, architecture: Architecture): Promise<void> {
  const { npm } = architectures[architecture];
  const name = `@koromix/koffi-linux-${npm}`;
  await copyFiles(await lockedPackage(name), join(directory, 'node_modules', name), koffiNativeFiles(npm));
}

async function copyFiles(from: string, to: string, files: readonly string[]): Promise<void> {
  for (const file of files) await copyInto(to, file, join(from, file));
}

/** Directories of the npm packages that have a file in a bundle, e.g. node_modules/pino. */
function packageInputs(metafile: Metafile): string[] {
  const packageDirectory = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
  const directories = Object.keys(metafile.inputs).flatMap((input) => packageDirectory.exec(input) ?? []);
  return [...new Set(directories)];
}

/** The files of one program: its own, and those that it loads when they are wanted. */
export async function filesOf(name: string): Promise<string[]> {
  const files = await readdir(bundleDirectory);
  return files.filter((file) => file === `${name}.mjs` || (file.startsWith(`${name}-`) && file.endsWith('.mjs')));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { arch: { type: 'string', multiple: true } } });
  const wanted = values.arch === undefined ? [hostArchitecture()] : parseArchitectures(values.arch);
  await bundle({ entries: programs, directory: bundleDirectory, architectures: wanted });
  for (const name of Object.keys(programs)) {
    const files = await filesOf(name);
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(bundleDirectory, file))).size));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const file = relative(checkout, join(bundleDirectory, `${name}.mjs`));
    console.log(`${file.padEnd(32)} ${(total / 1024).toFixed(0).padStart(6)} KiB`);
  }
}

if (import.meta.main) await runToEnd(main);
