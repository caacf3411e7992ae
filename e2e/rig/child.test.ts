import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startChild } from './child.ts';
import { parseStat } from './process-identity.ts';
import { until } from './wait.ts';

let directory: string;
const log = (): string => join(directory, 'log');

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'child-test-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function goneOf(pid: string): Promise<void> {
  await until({ what: `the end of ${pid}`, timeoutMs: 10_000, intervalMs: 10 }, async () => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    return stat === undefined || parseStat(stat).state === 'Z' ? undefined : stat;
  });
}

describe('a child', () => {
  it('writes to its log, and says how it ended', async () => {
    const child = await startChild(['sh', '-c', 'echo out; echo wrong >&2; exit 3'], log());
    expect(await child.ended).toBe('exited with 3');
    expect(await readFile(log(), 'utf8')).toBe('out\nwrong\n');
  });

  it('is killed at once, and only once', async () => {
    const child = await startChild(['sleep', '60'], log());
    await child.kill();
    await child.kill();
    expect(await child.ended).toBe('was ended by SIGKILL');
  });

  it.each([
    ['ends', 'process.exit(0)'],
    ['is killed', "process.kill(process.pid, 'SIGKILL')"],
    ['fails', "throw new Error('broken')"],
  ])('does not outlive a process that %s', async (_, ending) => {
    const script = `import { startChild } from ${JSON.stringify(import.meta.resolve('./child.ts'))};
      const { pid } = await startChild(['sleep', '60'], ${JSON.stringify(log())});
      await new Promise((resolve) => process.stdout.write(String(pid), resolve));
      ${ending};`;
    const pid = await new Promise<string>((resolve) => {
      execFile(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000 }, (_error, stdout) =>
        resolve(stdout),
      );
    });
    expect(pid).toMatch(/^\d+$/);
    await goneOf(pid);
  });
});
