import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

it('a test file that spins is named and ended, and the others are run', () => {
  const directory = mkdtempSync(join(tmpdir(), 'data-direct-unfinished-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const reporter = JSON.stringify(fileURLToPath(new URL('unfinished.ts', import.meta.url)));
  const files = {
    'vitest.config.mjs': `export default { test: { maxWorkers: 1, reporters: ['tap-flat', [${reporter}, { minutes: 1 / 60 }]] } };`,
    'a.test.mjs': "import { it } from 'vitest'; it('spins', () => { for (;;); });",
    'b.test.mjs': "import { it } from 'vitest'; it('ends', () => {});",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  symlinkSync(fileURLToPath(new URL('../node_modules', import.meta.url)), join(directory, 'node_modules'));
  const { status, stdout, stderr } = spawnSync('vitest', ['run'], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 15_000,
    killSignal: 'SIGKILL',
  });
  expect(stderr).toMatch(/^a\.test\.mjs has not ended in .* min; the workers are killed$/m);
  expect(stdout).toMatch(/^ok .*b\.test\.mjs > ends/m);
  expect(status).toBe(1);
});
