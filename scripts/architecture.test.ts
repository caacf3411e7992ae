// Shows that the linter really holds the architecture (docs/adr/0002): a wrong arrow and a loop are refused, and no room is without a rule.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
let checkout: string;

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'architecture-'));
  cpSync(join(root, '.oxlintrc.json'), join(checkout, '.oxlintrc.json'));
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
});
afterEach(() => {
  rmSync(checkout, { recursive: true });
});

/** What the linter prints of these files, laid out like the checkout. */
function lint(files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(checkout, path, '..'), { recursive: true });
    writeFileSync(join(checkout, path), text);
  }
  try {
    return execFileSync(join(root, 'node_modules/.bin/oxlint'), ['.'], {
      cwd: checkout,
      encoding: 'utf8',
      timeout: 60_000,
    });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

const use = (what: string): string => `import { thing } from '${what}';\nexport const used = thing;\n`;

test.each([
  ['operator', '@data-direct/device-plugin'],
  ['operator', '@data-direct/driver-core'],
  ['device-plugin', '@data-direct/operator'],
  ['driver-core', '@data-direct/kube'],
  ['driver-core', '@grpc/grpc-js'],
  ['kube', '@data-direct/crds'],
  ['crds', '@data-direct/driver-core'],
  ['crds', '@data-direct/process'],
  ['process', '@data-direct/kube'],
  ['driver-core', '@data-direct/process'],
  ['kube', '@data-direct/process'],
])('%s may not import %s', (room, what) => {
  expect(lint({ [`${room}/src/a.ts`]: use(what) })).toContain('no-restricted-imports');
});

test.each([
  ['operator', '@data-direct/crds'],
  ['operator', '@data-direct/kube'],
  ['device-plugin', '@data-direct/driver-core'],
  ['driver-core', '@data-direct/crds'],
  ['process', '@data-direct/crds'],
  ['device-plugin', '@data-direct/process'],
  ['operator', '@data-direct/process'],
])('%s may import %s', (room, what) => {
  expect(lint({ [`${room}/src/a.ts`]: use(what) })).not.toContain('no-restricted-imports');
});

test('a room is not entered by a relative path either', () => {
  expect(lint({ 'operator/src/a.ts': use('../../driver-core/src/index.ts') })).toContain('no-restricted-imports');
  expect(lint({ 'operator/src/deep/a.ts': use('../../../driver-core/src/index.ts') })).toContain(
    'no-restricted-imports',
  );
});

test('two files that import each other are refused', () => {
  const output = lint({
    'crds/src/a.ts': `import { b } from './b.ts';\nexport const a = (): unknown => b;\n`,
    'crds/src/b.ts': `import { a } from './a.ts';\nexport const b = (): unknown => a;\n`,
  });
  expect(output).toContain('no-cycle');
});

test('every room has a rule of its own', () => {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { workspaces: string[] };
  const { overrides } = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8')) as {
    overrides: { files: string[]; rules: Record<string, unknown> }[];
  };
  const ruled = overrides.filter((override) => 'no-restricted-imports' in override.rules).flatMap((o) => o.files);
  expect(ruled).toEqual(
    expect.arrayContaining(workspaces.filter((room) => room !== 'e2e').map((room) => `${room}/**`)),
  );
});
