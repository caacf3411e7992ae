// The rig's hand in the guest: runs functions and shell lines that the test process sends, one answer for each. It lives
// as long as the machine.

import { createReadStream, createWriteStream, openSync } from 'node:fs';
import { release } from 'node:os';
import { createInterface } from 'node:readline';
import { type Guest, guest } from './guest.ts';
import { type Answer, pack, type Request, unpack } from './protocol.ts';

type Sent = (guest: Guest, ...args: unknown[]) => unknown;

const [, , port = ''] = process.argv;
/** The kernel lets a port be opened once. Its reads block, so they are left to Node's threads. */
const fd = openSync(port, 'r+');
const output = createWriteStream(port, { fd });

function tell(message: Answer): void {
  output.write(`${JSON.stringify(message)}\n`);
}

async function execute(request: Request): Promise<unknown> {
  if (request.kind === 'shell') return guest.shell(request.line);
  // The function was written in the test; of this module it sees only what it is given.
  // oxlint-disable-next-line typescript/no-implied-eval -- this is what the agent is for
  const sent = new Function(`return (${request.source});`)() as Sent;
  return sent(guest, ...(unpack(request.args) as unknown[]));
}

async function answer(request: Request): Promise<void> {
  try {
    tell({ id: request.id, kind: 'value', value: pack(await execute(request)) });
  } catch (error) {
    const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error));
    tell({ id: request.id, kind: 'error', name, message, stack });
  }
}

createInterface(createReadStream(port, { fd })).on('line', (line) => void answer(JSON.parse(line) as Request));
tell({ kind: 'hello', release: release(), node: process.version });
