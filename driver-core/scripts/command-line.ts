// How `data-direct` is bundled so that it starts quickly, in the npm package and in the image alike: as one file with what every command needs and
// the usual ones besides, and files for the rest that are loaded when they are wanted.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Metafile, Plugin } from 'esbuild';
import { build } from 'esbuild';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
export const COMMAND_LINE = 'driver-core/src/cli.ts';

export interface CommandLineOptions {
  readonly directory: string;
  /** Of the program, without its extension. */
  readonly name: string;
  readonly extension: '.js' | '.mjs';
  /** Fixtures that are shipped as files and not bundled. */
  readonly external?: readonly string[];
}

export async function bundleCommandLine({
  directory,
  name,
  extension,
  external = [],
}: CommandLineOptions): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: checkout,
    entryPoints: { [name]: COMMAND_LINE },
    outdir: directory,
    outExtension: { '.js': extension },
    chunkNames: `${name}-[hash]`,
    bundle: true,
    splitting: true,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    conditions: ['@data-direct/source'],
    external: ['koffi', ...external],
    plugins: [builtinsAsUsed, leaningOn(await neededAtStart(), external.length > 0 ? /\.ts$/ : /\.(ts|json)$/)],
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    logLevel: 'warning',
  });
  return metafile;
}

/**
 * A builtin that is imported is loaded with every lazy part that it exports, streams and decoders among them, before the first line runs: a good part
 * of a short command's time. Asked for like this, only what is used is touched.
 */
export const builtinsAsUsed: Plugin = {
  name: 'builtins as used',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin', sideEffects: false }));
    bundler.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: facadeOf(path) }));
  },
};

function facadeOf(builtin: string): string {
  const names = Object.keys(process.getBuiltinModule(builtin) ?? {}).filter((name) => name !== 'default');
  return [
    `const builtin = /* @__PURE__ */ process.getBuiltinModule(${JSON.stringify(builtin)});`,
    ...names.map((name) => `export const ${name} = /* @__PURE__ */ (() => builtin.${name})();`),
  ].join('\n');
}

/**
 * esbuild puts what several files have in common into a file for each combination of those that share it: to load nine took a command a fifth of its
 * time (measured). So everything that is loaded later is made to lean on all that is loaded at the start, which then is one combination.
 */
function leaningOn(start: readonly string[], filter: RegExp): Plugin {
  const namespace = 'loaded later';
  return {
    name: namespace,
    setup(bundler) {
      bundler.onResolve({ filter }, ({ kind, path, resolveDir }) =>
        kind === 'dynamic-import' ? { path: join(resolveDir, path), namespace } : undefined,
      );
      bundler.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
        contents: [...start.map((file) => `import ${JSON.stringify(file)};`), passedOn(path)].join('\n'),
        resolveDir: checkout,
      }));
    },
  };
}

function passedOn(file: string): string {
  return file.endsWith('.json')
    ? `export { default } from ${JSON.stringify(file)} with { type: 'json' };`
    : `export * from ${JSON.stringify(file)};`;
}

/** Every source file but the entry that is loaded before anything is asked for. */
async function neededAtStart(): Promise<string[]> {
  const laterAsExternal: Plugin = {
    name: 'later is external',
    setup: (bundler) =>
      bundler.onResolve({ filter: /.*/ }, ({ kind }) => (kind === 'dynamic-import' ? { external: true } : undefined)),
  };
  const { metafile } = await build({
    absWorkingDir: checkout,
    entryPoints: [COMMAND_LINE],
    outdir: checkout,
    write: false,
    bundle: true,
    metafile: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@data-direct/source'],
    external: ['koffi'],
    plugins: [laterAsExternal],
  });
  return Object.keys(metafile.inputs).flatMap((file) => (file === COMMAND_LINE ? [] : [join(checkout, file)]));
}
