// Runs one command of the machine (tar, npm, apt-get …) to its end. Every command has a time limit.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BuildError } from './errors.ts';

const execute = promisify(execFile);
const timeLimitMs = 300_000;
const outputLimitBytes = 64 * 1024 * 1024;

export interface RunOptions {
  readonly cwd?: string;
  /** Instead of this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Resolves to what the command wrote to its standard output. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  try {
    const limits = { timeout: timeLimitMs, killSignal: 'SIGKILL', maxBuffer: outputLimitBytes } as const;
    return (await execute(command, args, { ...options, ...limits })).stdout;
  } catch (error) {
    const { code, killed, stdout, stderr } = error as Failure;
    const outcome = killed === true ? `took longer than ${timeLimitMs / 1000} s` : `failed (${code ?? 'signal'})`;
    const output = `${stderr ?? ''}${stdout ?? ''}`.trim();
    throw new BuildError(
      'COMMAND_FAILED',
      { command: [command, ...args].join(' '), outcome, output },
      { cause: error },
    );
  }
}

interface Failure {
  readonly code?: string | number;
  readonly killed?: boolean;
  readonly stdout?: string;
  readonly stderr?: string;
}
