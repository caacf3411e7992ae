import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseStat } from './process-identity.ts';
import { run } from './run.ts';
import { until } from './wait.ts';

describe('a command', () => {
  it('returns what it wrote, and is given its input', async () => {
    const { stdout, stderr } = await run('sh', ['-c', 'cat; echo warned >&2'], { input: 'told' });
    expect({ stdout, stderr }).toEqual({ stdout: 'told', stderr: 'warned\n' });
  });

  it('that fails is an error with its exit code and the end of what it wrote', async () => {
    const failing = run('sh', ['-c', 'seq 30 >&2; exit 3']);
    await expect(failing).rejects.toMatchObject({ code: 'COMMAND_FAILED', fields: { outcome: 'exited with 3' } });
    await expect(failing).rejects.toThrow(/:\n11\n12\n[^]*\n30$/);
  });

  it('that is not installed is named', async () => {
    await expect(run('no-such-command', [])).rejects.toThrow('no-such-command is not on PATH');
  });

  it('is ended when its time is over', async () => {
    await expect(run('sleep', ['60'], { timeoutMs: 10 })).rejects.toThrow('sleep 60 took longer than 0.01 s');
  });

  it('that dies with the rig is killed when its parent ends', async () => {
    const script = `import { run } from ${JSON.stringify(import.meta.resolve('./run.ts'))};
      const command = run('sh', ['-c', 'echo $$ >&2; exec sleep 60'], {
        diesWithRig: true,
        onStderrLine: (line) => { console.log(line); process.kill(process.pid, 'SIGKILL'); },
      });
      await command;`;
    const killed = await new Promise<string>((resolve) => {
      execFile(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000 }, (_, stdout) =>
        resolve(stdout.trim()),
      );
    });
    expect(killed).toMatch(/^\d+$/);
    await until({ what: 'the end of the command', timeoutMs: 10_000, intervalMs: 10 }, async () => {
      const stat = await readFile(`/proc/${killed}/stat`, 'utf8').catch(() => undefined);
      return stat === undefined || parseStat(stat).state === 'Z' ? undefined : stat;
    });
  });

  it('is ended when the rig is interrupted', async () => {
    await expect(run('sleep', ['60'], { signal: AbortSignal.abort() })).rejects.toThrow('sleep 60 was interrupted');
  });
});
