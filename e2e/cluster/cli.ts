// The cluster rig by hand: node e2e/cluster/cli.ts up|down|…

import { resolve } from 'node:path';
import { attach, componentHandle, type ComponentHandle, down, status, up } from './cluster.ts';
import { RigError, rigError } from '../rig/errors.ts';
import { type ComponentName, componentNames } from './node/components.ts';
import { buildImage, installRelease, removeNodeState } from './release.ts';
import { ensureToolchain } from './toolchain/toolchain.ts';

interface Command {
  readonly usage: string;
  readonly help: string;
  readonly arguments: number;
  run(args: readonly string[], signal: AbortSignal): Promise<void>;
}

/** All ConnectX-8 of the one node. */
const policy = {
  apiVersion: 'datadirect.dev/v1alpha1',
  kind: 'DataDirectPath',
  metadata: { name: 'gb300' },
  spec: { resourceName: 'path' },
};

const tell = (line: string): void => console.log(line);

const commands: Readonly<Record<string, Command>> = {
  up: {
    usage: 'up',
    help: 'start the cluster, or take the one that runs',
    arguments: 0,
    async run(_args, signal) {
      await up({ report: tell, signal });
      tell('to use it: eval "$(node e2e/cluster/cli.ts env)"');
    },
  },
  down: {
    usage: 'down',
    help: 'take away everything, also what a crashed run left',
    arguments: 0,
    run: () => down(tell).then(removeNodeState),
  },
  status: {
    usage: 'status',
    help: 'say what runs; exit code 1 if the cluster cannot be used',
    arguments: 0,
    run: showStatus,
  },
  env: {
    usage: 'env',
    help: 'print KUBECONFIG and PATH for a shell to evaluate',
    arguments: 0,
    async run() {
      const cluster = await attach();
      tell(`export KUBECONFIG='${cluster.kubeconfig}'\nexport PATH='${cluster.clients}':"$PATH"`);
    },
  },
  import: {
    usage: 'import ARCHIVE',
    help: 'give the node the images of an OCI archive',
    arguments: 1,
    async run([archive = '']) {
      await (await attach()).importImage(resolve(archive));
    },
  },
  release: {
    usage: 'release',
    help: 'build the image and install the chart of this checkout, with a virtual tray and a policy',
    arguments: 0,
    async run() {
      const cluster = await attach();
      tell('building the image');
      await cluster.importImage((await buildImage()).archive);
      tell('installing the chart');
      await installRelease(cluster);
      await cluster.kubectl(['apply', '--filename', '-'], { input: JSON.stringify(policy) });
      tell('installed; try: kubectl get ddp,ddn');
    },
  },
  start: componentCommand('start', (component) => component.start()),
  stop: componentCommand('stop', (component) => component.stop()),
  restart: componentCommand('restart', (component) => component.restart()),
  build: {
    usage: 'build',
    help: 'only build and fetch what the cluster is made of',
    arguments: 0,
    async run(_args, signal) {
      await ensureToolchain(tell, signal);
    },
  },
};

function componentCommand(verb: string, act: (component: ComponentHandle) => Promise<void>): Command {
  return {
    usage: `${verb} COMPONENT`,
    help: `${verb} one of ${componentNames.join(', ')}`,
    arguments: 1,
    async run([name = '']) {
      if (!isComponentName(name)) throw usageError(`there is no component "${name}"`);
      await act(componentHandle(name));
    },
  };
}

async function showStatus(): Promise<void> {
  const { trouble, components } = await status();
  for (const { name, pid, trouble: problem } of components) {
    tell(`${name.padEnd(24)} ${String(pid ?? '-').padStart(8)}  ${problem ?? 'ok'}`);
  }
  tell(trouble === undefined ? 'the cluster is up' : `the cluster cannot be used: ${trouble}`);
  process.exitCode = trouble === undefined ? 0 : 1;
}

function isComponentName(name: string): name is ComponentName {
  return (componentNames as readonly string[]).includes(name);
}

function usageError(problem: string): RigError {
  const lines = Object.values(commands).map(({ usage, help }) => `  ${usage.padEnd(20)} ${help}`);
  return rigError('USAGE', { problem, usage: ['node e2e/cluster/cli.ts …', ...lines].join('\n') });
}

async function main([name = '', ...args]: readonly string[], signal: AbortSignal): Promise<void> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw usageError(name === '' ? 'which command?' : `there is no command "${name}"`);
  if (args.length !== command.arguments) throw usageError(`wrong number of arguments: ${command.usage}`);
  await command.run(args, signal);
}

const interruption = new AbortController();
// Whatever is under way ends, clears up and fails; a second signal ends the rig at once.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort());

try {
  await main(process.argv.slice(2), interruption.signal);
} catch (error) {
  if (interruption.signal.aborted) console.error('interrupted; what was begun is cleared away');
  else console.error(error instanceof RigError ? error.message : error);
  process.exitCode = 1;
}
