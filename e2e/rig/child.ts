// A program that runs beside this process and never outlives it: QEMU, device servers. What shall outlive it is a rig's
// own matter.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

export interface Child {
  readonly pid: number;
  /** How it ended, as it reads in "QEMU …". */
  readonly ended: Promise<string>;
  /** SIGKILL, at once and for good. */
  kill(): Promise<void>;
}

/**
 * Both outputs go to the file `log`. The kernel ends the child when the thread that started it ends (PR_SET_PDEATHSIG),
 * however that happens; a program that forks away from it is not held.
 */
export async function startChild(command: readonly string[], log: string): Promise<Child> {
  const output = openSync(log, 'a');
  try {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', output, output] });
    const killNow = (): void => void child.kill('SIGKILL'); // by handle: never hits another process with the same id
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => {
        process.off('exit', killNow);
        resolve(signal === null ? `exited with ${code}` : `was ended by ${signal}`);
      });
    });
    process.on('exit', killNow);
    await once(child, 'spawn');
    return {
      pid: child.pid as number, // there is one after 'spawn'
      ended,
      async kill() {
        killNow();
        await ended;
      },
    };
  } finally {
    closeSync(output);
  }
}
