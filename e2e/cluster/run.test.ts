import { describe, expect, it } from 'vitest';
import { run } from './run.ts';

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

  it('is ended when the rig is interrupted', async () => {
    await expect(run('sleep', ['60'], { signal: AbortSignal.abort() })).rejects.toThrow('sleep 60 was interrupted');
  });
});
