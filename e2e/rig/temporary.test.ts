import { execFileSync } from 'node:child_process';
import { access } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from './temporary.ts';

const prefix = 'temporary-test';
const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** A process that makes a directory, says where, and ends as told. */
function made(ending: string): string {
  const script = `import { temporaryDirectory } from ${JSON.stringify(import.meta.resolve('./temporary.ts'))};
    const { path } = await temporaryDirectory('${prefix}');
    process.stdout.write(path, () => ${ending});`;
  const { stdout } = ((): { stdout: string } => {
    try {
      return {
        stdout: execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
          encoding: 'utf8',
          timeout: 20_000,
        }),
      };
    } catch (error) {
      return error as { stdout: string }; // killed
    }
  })();
  return stdout;
}

describe('a temporary directory', () => {
  it('is gone when it was removed', async () => {
    const directory = await temporaryDirectory(prefix);
    expect(await exists(directory.path)).toBe(true);
    await directory.remove();
    expect(await exists(directory.path)).toBe(false);
  });

  it('is gone when its process has ended', async () => {
    expect(await exists(made('process.exit(1)'))).toBe(false);
  });

  it('of a killed process is removed by the next process that wants one, and a living one’s is not', async () => {
    const living = await temporaryDirectory(prefix);
    const left = made("process.kill(process.pid, 'SIGKILL')");
    expect(await exists(left)).toBe(true);
    const next = await temporaryDirectory(prefix);
    expect([await exists(left), await exists(living.path)]).toEqual([false, true]);
    await Promise.all([living.remove(), next.remove()]);
  });
});
