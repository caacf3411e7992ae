// The agent as a process of its own, for tests of how it starts, what it stands and how it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

const program = fileURLToPath(new URL('main.ts', import.meta.url));

/** Nothing is left behind, whatever becomes of the test. */
const LONGEST_MS = 120_000;

export interface AgentProcess {
  readonly child: ChildProcess;
  /** Resolves with the first log line that says this. */
  line(message: string): Promise<Record<string, unknown>>;
  /** Null for one that a signal ended. */
  readonly status: Promise<number | null>;
}

/** Killed at the end of the test if it still runs. `output`: a descriptor in place of the pipe that `line` reads. */
export function startAgent(directory: string, config: object, output?: number): AgentProcess {
  const file = join(directory, 'agent.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, ['--conditions=@data-direct/source', program, '--config', file], {
    stdio: ['ignore', output ?? 'pipe', 'inherit'],
    env: {},
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: Record<string, unknown>[] = [];
  const news = new Set<() => void>();
  if (child.stdout)
    createInterface(child.stdout).on('line', (line) => {
      lines.push(JSON.parse(line) as Record<string, unknown>);
      for (const tell of news) tell();
    });
  return {
    child,
    line: (message) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = lines.find(({ msg }) => msg === message);
          if (found) resolve(found);
        };
        news.add(look);
        look();
      }),
    status: once(child, 'exit').then(([status]) => status as number | null),
  };
}

/** A configuration on a virtual tray, with a spec from a file and a kubelet below the directory. */
export function onVirtualTray(directory: string): object {
  return {
    ...withSpec(directory),
    virtualHost: {
      fixture: 'gb300-tray',
      deviceDir: join(directory, 'dev'),
      controlSocket: join(directory, 'virtual.sock'),
    },
  };
}

/** A configuration on this machine. */
export function withSpec(directory: string, policy: object = { dataDirect: 'Required' }): object {
  const resources = [{ name: 'path', policy: 'p', policyGeneration: 1, ...policy }];
  writeFileSync(join(directory, 'spec.json'), JSON.stringify({ resources }));
  return {
    kubeletDir: directory,
    stateDir: join(directory, 'state'),
    specFile: join(directory, 'spec.json'),
    http: { address: '127.0.0.1', port: 0 },
  };
}
