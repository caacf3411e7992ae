// A person's terminal, joined to the guest's console.

import { once } from 'node:events';
import { connect } from 'node:net';

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Returns when `use`, which is told the terminal's size, has ended. Every key goes to the guest meanwhile. */
export async function openTerminal(
  socketPath: string,
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
  use: (size: TerminalSize) => Promise<void>,
): Promise<void> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  if (input.isTTY) input.setRawMode(true);
  input.pipe(socket);
  socket.pipe(output, { end: false });
  try {
    await use({ columns: output.columns || 80, rows: output.rows || 24 });
  } finally {
    input.unpipe(socket);
    input.pause();
    if (input.isTTY) input.setRawMode(false);
    socket.destroy();
  }
}

/** The line that runs a shell there, with job control, and ends when the person leaves it. */
export function terminalShell({ columns, rows }: TerminalSize): string {
  const terminal = '/dev/hvc0';
  const shell = `stty cols ${columns} rows ${rows}; exec sh -l`;
  return `TERM=linux HOME=/tmp setsid -c sh -c '${shell}' <${terminal} >${terminal} 2>&1 || true`;
}
