// What has to hold of driver-core's answer about a node, whatever the node is like.

import { PATH_REASONS, stateOf } from '@data-direct/crds';
import { type Host, Observer, type Path, type RoundOptions } from '@data-direct/driver-core';
import { check } from '../../driver-core/src/cli/check.ts';
import type { Command } from '../../driver-core/src/cli/command.ts';
import { dump } from '../../driver-core/src/cli/dump.ts';
import { printable } from '../../driver-core/src/cli/printable.ts';
import { topo } from '../../driver-core/src/cli/topo.ts';
import { verify } from '../../driver-core/src/cli/verify.ts';
import { parseFixture } from '../../driver-core/src/virtual/fixture.ts';
import { must } from './target.ts';

/** Some rounds of one observer: every path has one known reason and a sentence. */
export async function judgeRounds(host: Host, rounds: readonly RoundOptions[]): Promise<void> {
  const observer = new Observer(host);
  for (const options of rounds) judgePaths(await observer.round(options));
}

export function judgePaths(paths: readonly Path[]): void {
  must(new Set(paths.map(({ id }) => id)).size === paths.length, () => 'two paths have one id');
  for (const { id, reason, state, message } of paths) {
    must(Object.hasOwn(PATH_REASONS, reason), () => `${id} has reason ${reason}, which is in no table`);
    must(state === stateOf(reason), () => `${id} is ${state} for ${reason}`);
    must(isSentence(message), () => `${id}: not a sentence: ${JSON.stringify(message)}`);
  }
}

/** Not what a string template makes of a missing value. */
function isSentence(message: string): boolean {
  return message.length > 0 && !/\b(undefined|null|NaN)\b|\[object /.test(message);
}

const COMMANDS: readonly [Command, Readonly<Record<string, boolean>>][] = [
  [topo, {}],
  [topo, { json: true }],
  [check, {}],
  [check, { json: true }],
  [dump, {}],
  [verify, {}],
  [verify, { json: true }],
  [verify, { abi: true }],
];

/** Every command ends with a code of its own and prints nothing that a terminal would obey. Of what a real /sys may show, a dump is a node again. */
export async function judgeCommands(host: Host, isReal: boolean): Promise<void> {
  for (const [command, given] of COMMANDS) {
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(printable(line));
    const terminal = { out: say, err: say, paint: (_: unknown, text: string) => text };
    const status = await command.run({ host, given, operands: [], terminal, signal: new AbortController().signal });
    must(status === 0 || status === 100, () => `data-direct ${command.name} ended with ${status}`);
    const obeyed = lines.find((line) => CONTROL.test(line.replaceAll(COLOUR, '')));
    must(
      obeyed === undefined,
      () => `data-direct ${command.name} prints control characters: ${JSON.stringify(obeyed)}`,
    );
    if (given['json']) JSON.parse(lines[0] ?? '');
    if (command === dump && isReal) parseFixture('its own dump', JSON.parse(lines[0] ?? ''));
  }
}

/* eslint-disable no-control-regex -- those are what it looks for */
/** Nothing worse can come of one. */
const COLOUR = /\u001b\[[0-9;]*m/g;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
