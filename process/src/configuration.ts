// A program's configuration: a command line that names one JSON file, and the pod's own variables. Read once, at start: what does not fit
// stops the start with an error that names file, field and expectation.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { fit, type Schema, sentence } from '@data-direct/crds';

import { ProcessError } from './error.ts';
import { LOG_LEVELS } from './log.ts';
import type { HttpConfig } from './pages.ts';

const path = { type: 'string', pattern: '^/' } as const;

/** Fields that every program has. */
export const COMMON_FIELDS = {
  http: {
    type: 'object',
    default: {},
    properties: {
      address: { type: 'string', pattern: '^[0-9a-fA-F.:]+$', default: '0.0.0.0' },
      port: { type: 'integer', minimum: 0, maximum: 65535, default: 9464 },
      tls: { type: 'object', required: ['certificate', 'key'], properties: { certificate: path, key: path } },
      metricsAccess: { type: 'string', enum: ['Open', 'TokenReview'], default: 'Open' },
    },
  },
  logLevel: { type: 'string', enum: LOG_LEVELS, default: 'info' },
} as const satisfies Record<string, Schema>;

export interface CommonConfig {
  readonly http: HttpConfig;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

export interface CommandLine<Command extends string> {
  readonly command: Command;
  readonly configFile: string | undefined;
}

/** `[command] [--config FILE]`; the first of `commands` is meant where none is given. */
export function readCommandLine<Command extends string>(
  args: readonly string[],
  commands: readonly [Command, ...Command[]],
): CommandLine<Command> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { config: { type: 'string' } },
      allowPositionals: true,
    });
    const [name = commands[0], ...more] = positionals;
    const command = commands.find((known) => known === name);
    if (command === undefined || more.length > 0) throw new Error(`unknown command ${positionals.join(' ')}`);
    return { command, configFile: values.config };
  } catch (error) {
    const usage = `usage: [${commands.join(' | ')}] [--config FILE]`;
    throw new ProcessError('COMMAND_LINE_INVALID', `${(error as Error).message}; ${usage}`, { args });
  }
}

/** `file` undefined: the defaults. Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export function readConfiguration(schema: Schema, file: string | undefined): unknown {
  const document = file === undefined ? {} : readJson(file);
  const { value, misfits } = fit(schema, document, { unknownFields: 'refuse' });
  if (misfits.length === 0) return value;
  const source = file ?? 'the defaults';
  throw new ProcessError('CONFIG_INVALID', `${source}: ${misfits.map(sentence).join('; ')}`, { file, misfits });
}

/** The JSON in a file that a person wrote. */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ProcessError('CONFIG_UNREADABLE', `${file} cannot be read as JSON`, { file }, error);
  }
}

/** Variables that the pod sets by fieldRef, each by its name. `instead` says what else would do. */
export function readVariables<Name extends string>(
  environment: NodeJS.ProcessEnv,
  names: readonly Name[],
  instead = '',
): Record<Name, string> {
  const missing = names.filter((name) => !environment[name]);
  if (missing.length === 0)
    return Object.fromEntries(names.map((name) => [name, environment[name]])) as Record<Name, string>;
  throw new ProcessError(
    'ENVIRONMENT_INCOMPLETE',
    `${missing.join(' and ')} must be set in the environment (fieldRef of the pod)${instead}`,
    { missing },
  );
}
