import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../rig/wait.ts';
import { isAlive, parseStat, type ProcessIdentity } from '../../rig/process-identity.ts';
import { end, killAll, launch, type Launch } from './processes.ts';

let directory: string;
let recorded: ProcessIdentity | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'processes-test-'));
  recorded = undefined;
});

afterEach(async () => {
  if (recorded !== undefined) await end(recorded, 0);
  await rm(directory, { recursive: true, force: true });
});

const log = (): string => join(directory, 'log');

function launching(script: string, more: Partial<Launch> = {}): Promise<ProcessIdentity> {
  return launch({
    command: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    log: log(),
    record: async (identity) => void (recorded = identity),
    ...more,
  });
}

async function logged(text: string): Promise<void> {
  await until({ what: `"${text}" in the log`, timeoutMs: 10_000, intervalMs: 10 }, async () => {
    const content = await readFile(log(), 'utf8');
    return content.includes(text) ? undefined : content;
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

describe('a process that outlives the rig', () => {
  it('runs its program under the id and start time that were recorded', async () => {
    const identity = await launching('echo "I am $$"; exec sleep 60');
    await logged(`I am ${identity.pid}`);
    expect(recorded).toEqual(identity);
    expect(await isAlive(identity)).toBe(true);
  });

  it('is on record before its program does anything', async () => {
    const mark = join(directory, 'mark');
    let ranBefore: boolean | undefined;
    await launching(`touch ${mark}; echo marked; exec sleep 60`, {
      async record(identity) {
        recorded = identity;
        ranBefore = await exists(mark);
      },
    });
    await logged('marked');
    expect(ranBefore).toBe(false);
  });

  it('never runs its program when it could not be recorded', async () => {
    const mark = join(directory, 'mark');
    const failed = launching(`touch ${mark}`, {
      async record(identity) {
        recorded = identity;
        throw new Error('disk full');
      },
    });
    await expect(failed).rejects.toThrow('disk full');
    await until({ what: 'the end of the process', timeoutMs: 10_000, intervalMs: 10 }, async () =>
      recorded !== undefined && (await isAlive(recorded)) ? 'alive' : undefined,
    );
    expect(await exists(mark)).toBe(false);
  });

  it('is ended by SIGTERM, and by SIGKILL when it does not listen', async () => {
    const polite = await launching('echo up; exec sleep 60');
    await logged('up');
    await end(polite, 10_000);
    expect(await isAlive(polite)).toBe(false);

    const deaf = await launching("trap '' TERM; echo deaf; while :; do sleep 60; done");
    await logged('deaf');
    await end(deaf, 0);
    expect(await isAlive(deaf)).toBe(false);
  });

  it('is left alone when only its id is on record, with the start time of another', async () => {
    const stranger = await launching('echo up; exec sleep 60');
    await logged('up');
    await end({ ...stranger, startTime: '1' }, 0);
    expect(await isAlive(stranger)).toBe(true);
    expect(await isAlive({ ...stranger, startTime: '1' })).toBe(false);
  });
});

describe('killing all', () => {
  it('goes on until nothing is found any more', async () => {
    const first = await launching('exec sleep 60');
    const second = await launching('exec sleep 60');
    const alive = async (): Promise<number[]> => {
      const both = [first, second];
      const states = await Promise.all(both.map(isAlive));
      return both.filter((_, index) => states[index]).map(({ pid }) => pid);
    };
    await killAll(alive);
    expect(await alive()).toEqual([]);
  });
});

describe('/proc/PID/stat', () => {
  it('is read past a program name with blanks and parentheses', () => {
    const rest = `S ${Array.from({ length: 18 }, (_, index) => index + 4).join(' ')} 987654 23 24`;
    expect(parseStat(`17 (a) b (c)) ${rest}`)).toEqual({ state: 'S', startTime: '987654' });
  });
});
