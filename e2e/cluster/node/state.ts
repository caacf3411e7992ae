// What is written down about a running cluster, so that any later run can find, judge and end it.
// While this file exists, everything at the places of layout.ts belongs to the rig.

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { RigError } from '../../rig/errors.ts';
import { clusterError } from '../errors.ts';
import type { Toolchain } from '../toolchain/toolchain.ts';
import { type ComponentName, componentNames } from './components.ts';
import { layout } from './layout.ts';
import type { ProcessIdentity } from '../../rig/process-identity.ts';

export interface RigState {
  /** Process ids and start times mean something within one boot only. */
  readonly bootId: string;
  /** Of programs, arguments and configuration files: another one needs another cluster. */
  readonly fingerprint: string;
  /** Where the programs are that it was started with. */
  readonly toolchain: Toolchain;
  /** Kernel settings as they were before the kubelet changed them. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly processes: Readonly<Partial<Record<ComponentName, ProcessIdentity>>>;
}

/** undefined when there is no cluster. */
export async function readState(file: string = layout.state): Promise<RigState | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : parseState(text, file);
}

/** Replaces the file at once: a reader finds the old state or the new one. */
export async function writeState(state: RigState, file: string = layout.state): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, JSON.stringify(state, undefined, 2), { flush: true });
  await rename(`${file}.new`, file);
}

export async function currentBoot(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

export async function removeState(file: string = layout.state): Promise<void> {
  await rm(file, { force: true });
}

export function parseState(text: string, file: string): RigState {
  const unreadable = (problem: string, cause?: unknown): RigError =>
    clusterError('STATE_UNREADABLE', { file, problem }, { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadable('is not JSON', error);
  }
  if (!isRecord(value)) throw unreadable('is not an object');
  for (const key of ['bootId', 'fingerprint']) {
    if (typeof value[key] !== 'string') throw unreadable(`has no text in "${key}"`);
  }
  for (const key of ['toolchain', 'sysctls']) {
    if (!isTable(value[key])) throw unreadable(`has no table of texts in "${key}"`);
  }
  const { processes } = value;
  if (!isRecord(processes)) throw unreadable('has no table in "processes"');
  for (const [name, identity] of Object.entries(processes)) {
    if (!componentNames.includes(name as ComponentName)) throw unreadable(`has an unknown process "${name}"`);
    if (!isIdentity(identity)) throw unreadable(`has no pid and startTime in "processes.${name}"`);
  }
  return value as unknown as RigState;
}

function isTable(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((entry) => typeof entry === 'string');
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return isRecord(value) && isPid(value['pid']) && typeof value['startTime'] === 'string';
}

/** kill() takes 0 and below for groups of processes. */
function isPid(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
