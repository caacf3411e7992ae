// A unix socket on which this process listens for one connection and exchanges JSON, one value a line. We listen and QEMU
// connects, so it is connected before the guest runs and no first line is lost.

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export class JsonLines {
  readonly #server: Server;
  readonly #receive: (value: unknown) => void;
  #socket: Socket | undefined;

  private constructor(server: Server, receive: (value: unknown) => void) {
    this.#server = server;
    this.#receive = receive;
  }

  static async listen(path: string, receive: (value: unknown) => void): Promise<JsonLines> {
    const server = createServer();
    const lines = new JsonLines(server, receive);
    server.on('connection', (socket) => lines.#connected(socket));
    server.listen(path);
    await once(server, 'listening');
    return lines;
  }

  /** Does nothing once the other end is gone: whoever waits for an answer learns that from the process. */
  send(value: unknown): void {
    this.#socket?.write(`${JSON.stringify(value)}\n`);
  }

  close(): void {
    this.#socket?.destroy();
    this.#server.close();
  }

  #connected(socket: Socket): void {
    this.#socket = socket;
    const lines = createInterface(socket).on('line', (line) => this.#receive(JSON.parse(line)));
    for (const end of [socket, lines]) end.on('error', () => undefined); // as for send
  }
}
