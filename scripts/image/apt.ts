// apt with package lists of its own: it downloads packages of any Debian release and architecture and checks signatures
// and hashes; neither `dpkg --add-architecture` nor root is needed, and nothing changes on the machine.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from './architectures.ts';
import { run } from './run.ts';

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface Apt {
  /** apt-get; what it downloads comes to the directory. */
  get(...args: string[]): Promise<string>;
  /** apt-cache. */
  cache(...args: string[]): Promise<string>;
}

/** A source that Debian alone may sign. */
export interface AptSource {
  readonly mirror: string;
  readonly suite: string;
  readonly component: string;
}

/** apt with the machine's configuration (proxies!) but with sources, lists and architecture of its own, kept in `directory`/apt. */
export async function privateApt(
  directory: string,
  architecture: Architecture,
  sources: readonly AptSource[],
): Promise<Apt> {
  const apt = join(directory, 'apt');
  await mkdir(join(apt, 'lists/partial'), { recursive: true });
  await mkdir(join(apt, 'archives/partial'), { recursive: true });
  await mkdir(join(apt, 'nothing'));
  const lines = sources.map((from) => `deb [signed-by=${keyring}] ${from.mirror} ${from.suite} ${from.component}\n`);
  await writeFile(join(apt, 'sources.list'), lines.join(''));
  const options = [
    `Dir::State=${apt}`,
    `Dir::State::lists=${apt}/lists`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${apt}`,
    `Dir::Etc::sourcelist=${apt}/sources.list`,
    `Dir::Etc::sourceparts=${apt}/nothing`,
    `Dir::Etc::preferences=${apt}/nothing/preferences`,
    `Dir::Etc::preferencesparts=${apt}/nothing`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    'APT::Sandbox::User=', // the user _apt may not read a cache below /root
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
  ];
  const flags = ['--quiet', ...options.flatMap((option) => ['--option', option])];
  return {
    get: (...args) => run('apt-get', [...flags, ...args], { cwd: directory }),
    cache: (...args) => run('apt-cache', [...flags, ...args], { cwd: directory }),
  };
}

/** The Debian sources that this machine is set up with. */
export async function machineSources(): Promise<AptSource[]> {
  const sources = await readMachineSources();
  if (sources.length > 0 || process.getuid?.() !== 0) return sources;
  await run(...machineAptGet('update', '--quiet')); // a fresh machine has no lists, so apt cannot say yet what is Debian's
  return readMachineSources();
}

/** apt-get that changes the machine, one at a time: suites run side by side, and apt itself does not wait for the lock of its lists. */
export function machineAptGet(...args: string[]): [command: string, args: string[]] {
  return ['flock', ['--no-fork', '--timeout', '300', '/var/lib/apt', 'apt-get', ...args]];
}

async function readMachineSources(): Promise<AptSource[]> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)';
  const output = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages', 'Origin: Debian']);
  const lines = new Set(output.split('\n').filter((line) => line !== ''));
  return [...lines].map((line) => {
    const [mirror = '', suite = '', component = ''] = line.split(' ');
    return { mirror, suite, component };
  });
}
