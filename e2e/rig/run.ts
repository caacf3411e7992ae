// Running one command to its end, always with a time limit. Processes that outlive it are the rigs' own matter.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { rigError } from './errors.ts';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to the command's standard input. */
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
  /** Killed when this process dies, however it dies (parent-death signal): for what would go on for minutes alone. */
  readonly diesWithRig?: boolean;
  readonly onStderrLine?: (line: string) => void;
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

const defaultTimeoutMs = 60_000;
const tailLines = 20;
const underSetpriv = ['setpriv', '--pdeathsig', 'KILL'] as const;

export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
  const shown = [command, ...args].join(' ');
  const [program, ...rest] = options.diesWithRig ? [...underSetpriv, command, ...args] : [command, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      signal,
      killSignal: 'SIGKILL',
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const failed = (outcome: string, cause?: unknown): void => {
      const tail = lastLines(Buffer.concat(stderr.length > 0 ? stderr : stdout).toString(), tailLines);
      reject(rigError('COMMAND_FAILED', { command: shown, outcome, tail }, { cause }));
    };
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    if (options.onStderrLine !== undefined) createInterface(child.stderr).on('line', options.onStderrLine);
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') reject(rigError('COMMAND_MISSING', { command }, { cause: error }));
      else if (limit.aborted) failed(`took longer than ${timeoutMs / 1000} s`, error);
      else if (signal.aborted) failed('was interrupted', signal.reason);
      else failed('could not be started', error);
    });
    child.on('close', (code, endedBy) => {
      if (code === 0) {
        resolve({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
      } else failed(endedBy === null ? `exited with ${code}` : `was ended by ${endedBy}`);
    });
    child.stdin.on('error', () => undefined); // a command that reads no input closes it: its exit code tells the rest
    child.stdin.end(options.input ?? '');
  });
}

export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
