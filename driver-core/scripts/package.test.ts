// The package as somebody gets it who has nothing of this checkout: packed, installed into an empty directory, and asked what the README says it answers.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, test } from 'vitest';

const room = fileURLToPath(new URL('..', import.meta.url));
const checkout = join(room, '..');
const readme = readFileSync(join(room, 'README.md'), 'utf8');

/** A registry that does not answer holds nobody up for ever. */
const BOUND = { timeout: 60_000, killSignal: 'SIGKILL' } as const;

/** As in the checkout, whatever Node the machine has; what npm itself has to say of this machine's settings is none of the package's doing. */
const env = {
  ...process.env,
  PATH: `${join(checkout, 'node_modules/.bin')}:${process.env['PATH']}`,
  npm_config_loglevel: 'error',
};

let directory: string;
let files: string[];

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'package-'));
  const staged = join(directory, 'staged');
  for (const part of ['package.json', 'README.md', 'fixtures', 'src', 'scripts'])
    cpSync(join(room, part), join(staged, part), { recursive: true });
  const build = ['--conditions=@data-direct/source', 'scripts/package.ts', join(staged, 'dist/package')];
  execFileSync('node', build, { cwd: room, env, ...BOUND });
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
  const [packed] = JSON.parse(execFileSync('npm', pack, { cwd: staged, env, encoding: 'utf8', ...BOUND })) as Packed[];
  files = packed?.files.map(({ path }) => path) ?? [];
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }');
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', join(directory, packed?.filename ?? '')];
  execFileSync('npm', install, { cwd: directory, env, ...BOUND });
}, 180_000);
afterAll(() => rmSync(directory, { recursive: true }));

/** Blocks of the README between ```<language> and ```. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, text = '']) => text);
}

test('it holds what runs and what describes it, and nothing else', () => {
  expect(files).toEqual(
    expect.arrayContaining(['README.md', 'dist/package/cli.js', 'dist/package/LICENSE', 'fixtures/gb300-tray.json']),
  );
  const strange = files.filter(
    (file) => !/^(README\.md|package\.json|fixtures\/[\w-]+\.(json|md)|dist\/package\/.*)$/.test(file),
  );
  expect([...strange, ...files.filter((file) => file.includes('.test.'))]).toEqual([]);
});

test('it needs koffi and nothing more', () => {
  const { dependencies } = JSON.parse(
    readFileSync(join(directory, 'node_modules/@data-direct/driver-core/package.json'), 'utf8'),
  ) as { dependencies: object };
  expect(Object.keys(dependencies)).toEqual(['koffi']);
});

test('the example of the README runs', () => {
  const [example = ''] = blocks('js');
  expect(example).toContain('// example.mjs');
  writeFileSync(join(directory, 'example.mjs'), example);
  expect(spawnSync('node', ['example.mjs'], { cwd: directory, env, encoding: 'utf8', ...BOUND })).toMatchObject({
    status: 0,
    stderr: '',
  });
});

test.each(blocks('console').map((block) => block.split('\n')))(
  '%s prints what the README shows',
  (prompt, ...expected) => {
    const [, command = ''] = /^\$ (.*)$/.exec(prompt) ?? [];
    const { stdout, stderr } = spawnSync('bash', ['-c', command], { cwd: directory, env, encoding: 'utf8', ...BOUND });
    expect({ stdout, stderr }).toEqual({ stdout: expected.join('\n'), stderr: '' });
  },
);

test('its types are found and fit the example', () => {
  const [example = ''] = blocks('js');
  writeFileSync(
    join(directory, 'typed.ts'),
    `${example}\nimport type { Path } from '@data-direct/driver-core';\nexport const reasons = (paths: Path[]): Path['reason'][] => paths.map(({ reason }) => reason);\n`,
  );
  const types = join(checkout, 'node_modules/@types');
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--lib',
    'es2024,esnext.disposable',
  ];
  const { stdout } = spawnSync('tsc', [...options, '--typeRoots', types, '--types', 'node', 'typed.ts'], {
    cwd: directory,
    env,
    encoding: 'utf8',
    ...BOUND,
  });
  expect(stdout).toBe('');
});
