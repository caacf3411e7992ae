// The operator's configuration: one JSON file and the pod's own names. Read once, at start; what does not fit stops the start.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';

import { OperatorError } from './error.ts';
import { isRecord } from './objects.ts';

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

export interface Config {
  readonly http: { readonly address: string; readonly port: number };
  readonly logLevel: (typeof logLevels)[number];
  /** The Lease by which one replica leads. */
  readonly lease: { readonly name: string };
  /** The operator's own Deployment, which `retire` scales to 0. */
  readonly deployment: { readonly name: string };
  /** Time between two beats of an agent, as the agents have it. */
  readonly heartbeatSeconds: number;
}

export interface CommandLine {
  readonly command: 'run' | 'retire';
  readonly configFile: string | undefined;
}

interface Field {
  readonly fallback: string | number;
  readonly expected: string;
  readonly holds: (value: unknown) => boolean;
}

const objectName = {
  expected: 'the name of an object',
  holds: (value: unknown) => typeof value === 'string' && /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value),
};

function wholeNumber(from: number, to: number): Omit<Field, 'fallback'> {
  const holds = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= from && Number(value) <= to;
  return { expected: `a whole number from ${from} to ${to}`, holds };
}

const fields: Readonly<Record<string, Field>> = {
  'http.address': {
    fallback: '0.0.0.0',
    expected: 'an IP address',
    holds: (value) => typeof value === 'string' && isIP(value) !== 0,
  },
  'http.port': { fallback: 9464, ...wholeNumber(0, 65_535) },
  logLevel: {
    fallback: 'info',
    expected: `one of ${logLevels.join(', ')}`,
    holds: (value) => logLevels.some((level) => level === value),
  },
  'lease.name': { fallback: 'data-direct-operator', ...objectName },
  'deployment.name': { fallback: 'data-direct-operator', ...objectName },
  heartbeatSeconds: { fallback: 300, ...wholeNumber(1, 86_400) },
};

export function readCommandLine(args: readonly string[]): CommandLine {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { config: { type: 'string' } },
      allowPositionals: true,
    });
    const [command = 'run', ...more] = positionals;
    if ((command !== 'run' && command !== 'retire') || more.length > 0)
      throw new Error(`unknown command ${positionals.join(' ')}`);
    return { command, configFile: values.config };
  } catch (cause) {
    const usage = 'usage: operator [run | retire] [--config FILE]';
    throw new OperatorError('COMMAND_LINE_INVALID', `${(cause as Error).message}; ${usage}`, { args }, { cause });
  }
}

/** Every field may be left out; without a file all of them are. */
export function readConfig(file: string | undefined): Config {
  return file === undefined ? checkConfig({}, 'defaults') : checkConfig(parseFile(file), file);
}

function parseFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new OperatorError(
      'CONFIG_UNREADABLE',
      `${file} cannot be read as JSON: ${(cause as Error).message}`,
      { file },
      { cause },
    );
  }
}

function checkConfig(document: unknown, file: string): Config {
  const given = new Map(leavesOf(document, ''));
  for (const [path, value] of given) {
    const problem = problemWith(path, value);
    if (problem !== undefined)
      throw new OperatorError('CONFIG_INVALID', `${file}: ${path || 'the document'} ${problem}`, { file, path });
  }
  const text = (path: string): string => (given.get(path) ?? fields[path]?.fallback) as string;
  const number = (path: string): number => (given.get(path) ?? fields[path]?.fallback) as number;
  return {
    http: { address: text('http.address'), port: number('http.port') },
    logLevel: text('logLevel') as Config['logLevel'],
    lease: { name: text('lease.name') },
    deployment: { name: text('deployment.name') },
    heartbeatSeconds: number('heartbeatSeconds'),
  };
}

function problemWith(path: string, value: unknown): string | undefined {
  if (Object.hasOwn(fields, path)) {
    const field = fields[path];
    return field?.holds(value) ? undefined : `must be ${field?.expected}, got ${JSON.stringify(value)}`;
  }
  const isSection = path === '' || Object.keys(fields).some((known) => known.startsWith(`${path}.`));
  return isSection
    ? `must be an object, got ${JSON.stringify(value)}`
    : `is unknown; known are ${Object.keys(fields).join(', ')}`;
}

/** `http.port` and its value, and so on. A list is a value like any other. */
function leavesOf(value: unknown, path: string): [path: string, value: unknown][] {
  if (!isRecord(value)) return [[path, value]];
  return Object.entries(value).flatMap(([name, child]) => leavesOf(child, path === '' ? name : `${path}.${name}`));
}

/** Names that the pod tells its process; the chart sets them by fieldRef. */
export function readPod(environment: NodeJS.ProcessEnv): { namespace: string; name: string } {
  const { POD_NAMESPACE: namespace, POD_NAME: name } = environment;
  if (namespace && name) return { namespace, name };
  const missing = [namespace ? '' : 'POD_NAMESPACE', name ? '' : 'POD_NAME'].filter(Boolean).join(' and ');
  throw new OperatorError('ENVIRONMENT_INCOMPLETE', `${missing} must be set in the environment (fieldRef of the pod)`, {
    missing,
  });
}
