// Serves a tray of virtual adapters to QEMU: node e2e/kernel/cx8/serve.ts --directory DIR [--adapters N | --tray FILE]
// A process of its own, because it waits in poll(2) instead of in Node's event loop: a signal ends it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RigError, rigError } from '../../rig/errors.ts';
import { serveControl } from './control.ts';
import { Loop } from './loop.ts';
import { longestSocketPath } from './native.ts';
import { CONTROL_SOCKET } from './sockets.ts';
import { adapters, readTraySpec, type TraySpec } from './tray-spec.ts';
import { Tray } from './tray.ts';

/** A name of a function has 32 characters at most. */
const longestDirectory = longestSocketPath - '/'.length - 32 - '.sock'.length;
const mostAdapters = 64;
const usage = 'node e2e/kernel/cx8/serve.ts --directory DIR [--adapters N | --tray FILE]';

function options(): { directory: string; spec: TraySpec } {
  const { values } = parseArgs({
    options: { directory: { type: 'string' }, adapters: { type: 'string', default: '1' }, tray: { type: 'string' } },
  });
  const { directory } = values;
  const count = Number(values.adapters);
  if (directory === undefined) throw rigError('USAGE', { problem: 'which directory shall hold the sockets?', usage });
  if (directory.length > longestDirectory) {
    throw rigError('USAGE', {
      problem: `${directory} has more than ${longestDirectory} characters: too long for sockets`,
      usage,
    });
  }
  if (!Number.isInteger(count) || count < 1 || count > mostAdapters) {
    throw rigError('USAGE', {
      problem: `--adapters ${values.adapters}: a number from 1 to ${mostAdapters} is needed`,
      usage,
    });
  }
  const spec =
    values.tray === undefined ? adapters(count) : readTraySpec(JSON.parse(readFileSync(values.tray, 'utf8')));
  return { directory, spec };
}

function main(): void {
  const { directory, spec } = options();
  const loop = new Loop();
  const tray = new Tray(spec, directory, loop, (line) => console.error(line));
  tray.plug();
  serveControl(tray, join(directory, CONTROL_SOCKET), loop);
  console.log('ready');
  for (;;) loop.turn(Infinity);
}

try {
  main();
} catch (error) {
  console.error(error instanceof RigError ? error.message : error);
  process.exit(1);
}
