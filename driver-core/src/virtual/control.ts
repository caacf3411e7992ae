// A running virtual host takes changes over a unix socket: one connection, one line of JSON, one line back. Whoever may connect may break
// the (virtual) machine, so the socket is the owner's alone.
import { mkdir, lstat, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { dirname } from 'node:path';

import { applyChange, partsOf } from './changes.ts';
import type { Change, Part } from './changes.ts';
import { VirtualError } from './errors.ts';
import type { VirtualHost } from './host.ts';
import { array, boolean, object, oneOf, optional, text } from './shape.ts';

export const CONTROL_SOCKET = '/run/data-direct/virtual.sock';

const MOST_REQUEST_BYTES = 8 * 1024;
const MOST_ANSWER_BYTES = 4 * 1024 * 1024;
const MOST_CONNECTIONS = 16;
const PATIENCE_MS = 5000;

const requestShape = object({
  /** A change to make, … */
  change: optional(array(text(/^[\x20-\x7e]{0,200}$/, 'a word'))),
  lose: optional(boolean),
  /** … or the parts to list. */
  list: optional(oneOf(true)),
});

type Answer =
  | { readonly ok: true; readonly parts?: readonly Part[] }
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface Control {
  readonly socket: string;
  /** Stops listening, ends open connections and removes the socket. */
  close(): Promise<void>;
}

export async function serveControl(host: VirtualHost, socket = CONTROL_SOCKET): Promise<Control> {
  await makeDirectory(dirname(socket), socket);
  await clearStale(socket);
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    serve(connection, host);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, socket);
  return {
    socket,
    close: () =>
      new Promise((resolve) => {
        // Node removes the socket's file itself.
        server.close(() => resolve());
        for (const connection of connections) connection.destroy();
      }),
  };
}

/** One level: with `recursive` Node asks for ever where the kernel lets nobody make any, as in /proc. */
async function makeDirectory(directory: string, socket: string): Promise<void> {
  await mkdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw unusable(socket, error);
  });
}

function unusable(socket: string, cause: Error): VirtualError {
  return new VirtualError('CONTROL_UNUSABLE', { socket, problem: cause.message }, { cause });
}

/** A socket that a killed process left behind is in the way of the next one; a living one is not ours to take. */
async function clearStale(socket: string): Promise<void> {
  const found = await lstat(socket).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unusable(socket, error);
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new VirtualError('CONTROL_NOT_A_SOCKET', { socket });
  if (await isAlive(socket)) throw new VirtualError('CONTROL_IN_USE', { socket });
  await rm(socket, { force: true });
}

function isAlive(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

/** bind() happens within listen(), so the mask holds for the socket and for nothing else. */
function listen(server: Server, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => reject(unusable(socket, error));
    server.once('error', refuse);
    const mask = process.umask(0o177);
    try {
      server.listen(socket, () => {
        server.off('error', refuse);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

function serve(connection: Socket, host: VirtualHost): void {
  let line = '';
  const answer = (value: Answer): void => {
    connection.end(`${JSON.stringify(value)}\n`);
  };
  connection.setEncoding('utf8');
  const deadline = setTimeout(() => connection.destroy(), PATIENCE_MS);
  connection.on('close', () => clearTimeout(deadline));
  connection.on('error', () => connection.destroy());
  connection.on('data', (chunk: string) => {
    line += chunk;
    if (line.length > MOST_REQUEST_BYTES) {
      connection.pause();
      answer(refusal(malformed('$', `at most ${MOST_REQUEST_BYTES} bytes`, 'more')));
    } else if (line.includes('\n')) {
      connection.pause();
      answer(answerTo(line.slice(0, line.indexOf('\n')), host));
    }
  });
}

function answerTo(line: string, host: VirtualHost): Answer {
  try {
    const { change, lose, list } = requestShape(parse(line), {
      path: '$',
      refuse: (path, expected, got) => {
        throw malformed(path, expected, got);
      },
    });
    if ((change === undefined) === (list === undefined)) throw malformed('$', 'either "change" or "list"', line);
    if (change === undefined) return { ok: true, parts: partsOf(host) };
    applyChange(host, change, lose);
    return { ok: true };
  } catch (error) {
    if (error instanceof VirtualError) return refusal(error);
    throw error;
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw malformed('$', 'one line of JSON', (error as Error).message);
  }
}

function malformed(path: string, expected: string, got: string): VirtualError {
  return new VirtualError('CONTROL_MALFORMED', { path, expected, got });
}

function refusal({ code, message }: VirtualError): Answer {
  return { ok: false, code, message };
}

/** Makes a change on the virtual host that listens at `socket`. */
export async function requestChange(socket: string, change: Change, lose = false): Promise<void> {
  await request(socket, { change, ...(lose ? { lose } : {}) });
}

/** What there is to change on the virtual host that listens at `socket`. */
export async function requestParts(socket: string): Promise<readonly Part[]> {
  const { parts } = await request(socket, { list: true });
  return parts ?? [];
}

async function request(socket: string, what: unknown): Promise<Extract<Answer, { ok: true }>> {
  const line = await exchange(socket, `${JSON.stringify(what)}\n`);
  let answer: Answer;
  try {
    answer = JSON.parse(line) as Answer;
  } catch (error) {
    const problem = line === '' ? 'closed without an answer' : 'the answer is not one line of JSON';
    throw new VirtualError('CONTROL_ANSWER', { socket, problem }, { cause: error });
  }
  if (!answer.ok) throw new VirtualError('CONTROL_ANSWER', { socket, problem: answer.message });
  return answer;
}

function exchange(socket: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const connection = createConnection(socket);
    const fail = (problem: string, cause?: Error): void => {
      connection.destroy();
      reject(new VirtualError('CONTROL_UNREACHABLE', { socket, problem }, { cause }));
    };
    connection.setEncoding('utf8');
    const deadline = setTimeout(() => fail(`no answer within ${PATIENCE_MS / 1000} s`), PATIENCE_MS);
    connection.once('connect', () => connection.write(line));
    connection.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error));
    connection.on('data', (chunk: string) => {
      received += chunk;
      if (received.length > MOST_ANSWER_BYTES) fail('the answer does not end');
    });
    connection.once('close', () => {
      clearTimeout(deadline);
      resolve(received);
    });
  });
}
