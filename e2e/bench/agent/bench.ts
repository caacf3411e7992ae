// Measures the agent beside a least possible Go plug-in and a least possible grpc-js plug-in, by a harness in Go that plays the kubelet.
// `make bench-agent` prints the table and puts it into docs/benchmarks.md. Needs root: cgroups, and device nodes of the virtual tray.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { bundle, programs } from '../../../scripts/bundle.ts';
import { hostArchitecture } from '../../../scripts/image/architectures.ts';
import { findGo } from '../../cluster/toolchain/go.ts';
import { ENVIRONMENT, NODE_FLAGS } from '../../rig/as-in-the-chart.ts';
import { run } from '../../rig/run.ts';
import { putSection } from '../document.ts';

const here = import.meta.dirname;
const built = join(here, '../../../build/bench');
const LONGEST_MS = 60 * 60_000;

interface Plugin {
  readonly name: string;
  readonly directory: string;
  readonly command: readonly string[];
  readonly control?: string;
  readonly break?: string;
  readonly mend?: string;
}

async function build(): Promise<void> {
  const entries = { agent: programs.agent, floor: 'e2e/bench/agent/floor-grpc-js/plugin.ts' };
  await bundle({ entries, directory: built, architectures: [hostArchitecture()] });
  const go = await findGo();
  await run(go, ['build', '-trimpath', '-ldflags=-s -w', `-o=${built}/`, './harness', './floor-go'], {
    cwd: here,
    env: { CGO_ENABLED: '0', GOWORK: 'off' },
    timeoutMs: LONGEST_MS,
  });
}

/** On the shipped tray: four paths, a spec from a file, no API server. */
function agent(directory: string): Plugin {
  const control = join(directory, 'virtual.sock');
  const spec = { resources: [{ name: 'path', policy: 'bench', policyGeneration: 1, dataDirect: 'Required' }] };
  writeFileSync(join(directory, 'spec.json'), JSON.stringify(spec));
  const config = {
    kubeletDir: directory,
    stateDir: join(directory, 'state'),
    specFile: join(directory, 'spec.json'),
    http: { address: '127.0.0.1', port: 0 },
    logLevel: 'warn', // the floors log nothing
    virtualHost: { fixture: 'gb300-tray', deviceDir: join(directory, 'dev'), controlSocket: control },
  };
  writeFileSync(join(directory, 'agent.json'), JSON.stringify(config));
  return {
    name: 'data-direct agent',
    directory,
    command: [process.execPath, ...NODE_FLAGS, join(built, 'agent.mjs'), '--config', join(directory, 'agent.json')],
    control,
    break: JSON.stringify({ change: ['unbind', '0009:03:00.0'] }),
    mend: JSON.stringify({ change: ['bind', '0009:03:00.0'] }),
  };
}

function plugins(root: string): Plugin[] {
  const directory = (name: string): string => {
    const path = join(root, name);
    mkdirSync(path);
    return path;
  };
  return [
    { name: 'least Go', directory: directory('go'), command: [join(built, 'floor-go')] },
    {
      name: 'least grpc-js',
      directory: directory('grpc-js'),
      command: [process.execPath, ...NODE_FLAGS, join(built, 'floor.mjs')],
    },
    agent(directory('agent')),
  ];
}

function circumstances(repetitions: number): string {
  const processors = cpus();
  const [kernel] = release().split('-');
  return [
    `Node ${process.version}, Linux ${kernel}, ${processors.length} processors (${processors[0]?.model.trim()}),`,
    `${Math.round(totalmem() / 2 ** 30)} GiB; both Node programs with \`${NODE_FLAGS.join(' ')}\` and \`MALLOC_ARENA_MAX=${ENVIRONMENT.MALLOC_ARENA_MAX}\`, bundled.`,
    `${repetitions === 1 ? 'One run' : `Median of ${repetitions} runs, in brackets the extremes`}. The page cache was warm and counts for nobody.`,
  ].join(' ');
}

const { repetitions } = parseArgs({ options: { repetitions: { type: 'string', default: '3' } } }).values;
await build();
const root = mkdtempSync(join(tmpdir(), 'bench-agent-'));
try {
  // The pages of the programs are read before anybody is charged for them.
  for (const file of [process.execPath, join(built, 'agent.mjs'), join(built, 'floor.mjs'), join(built, 'floor-go')])
    readFileSync(file);
  const plan = { repetitions: Number(repetitions), plugins: plugins(root) };
  const { stdout } = await run(join(built, 'harness'), [], {
    input: JSON.stringify(plan),
    env: ENVIRONMENT,
    timeoutMs: LONGEST_MS,
    diesWithRig: true,
    onStderrLine: (line) => console.error(line),
  });
  console.log(stdout);
  await putSection('bench-agent', `${circumstances(plan.repetitions)}\n\n${stdout}`);
} finally {
  rmSync(root, { recursive: true });
}
