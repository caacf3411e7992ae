// Serves a tray of virtual adapters to QEMU: node e2e/kernel/cx8/serve.ts --directory DIR --tray FILE
// A process of its own, because it waits in poll(2) instead of in Node's event loop: a signal ends it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RigError, rigError } from '../../rig/errors.ts';
import { serveControl } from './control.ts';
import { serverError } from './errors.ts';
import { Loop } from './loop.ts';
import { longestSocketPath } from './native.ts';
import { CONTROL_SOCKET, functionSocket } from './sockets.ts';
import { readTraySpec, type TraySpec } from './tray-spec.ts';
import { Tray } from './tray.ts';

const usage = 'node e2e/kernel/cx8/serve.ts --directory DIR --tray FILE';

function options(): { directory: string; spec: TraySpec } {
  const { directory, tray } = words();
  if (directory === undefined) throw rigError('USAGE', { problem: 'which directory shall hold the sockets?', usage });
  if (tray === undefined) throw rigError('USAGE', { problem: 'which file describes the tray?', usage });
  const longestName = 32; // tray-spec.ts
  if (functionSocket(directory, 'x'.repeat(longestName)).length > longestSocketPath) {
    throw rigError('USAGE', { problem: `${directory} is too long a name for a directory of sockets`, usage });
  }
  return { directory, spec: readTraySpec(json(tray)) };
}

function words(): { directory?: string | undefined; tray?: string | undefined } {
  try {
    return parseArgs({ options: { directory: { type: 'string' }, tray: { type: 'string' } } }).values;
  } catch (error) {
    throw rigError('USAGE', { problem: (error as Error).message, usage }, { cause: error });
  }
}

function json(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw serverError('TRAY_INVALID', { where: file, problem: (error as Error).message }, { cause: error });
  }
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
