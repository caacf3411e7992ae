// A tray of virtual adapters in a process of its own, for whoever boots a machine: start it, plug its sockets into the machine, change
// it while it runs, end it.

import { readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Child, startChild } from '../../rig/child.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../rig/temporary.ts';
import { until } from '../../rig/wait.ts';
import type { ControlRequest } from './control.ts';
import { serverError } from './errors.ts';
import type { Faults } from './nic/faults.ts';
import type { NicReport } from './nic/nic.ts';
import { CONTROL_SOCKET, functionSocket } from './sockets.ts';
import type { TraySpec } from './tray-spec.ts';

const startMs = 20_000;
const answerMs = 10_000;

export class ServedTray {
  readonly #directory: TemporaryDirectory;
  readonly #server: Child;

  private constructor(directory: TemporaryDirectory, server: Child) {
    this.#directory = directory;
    this.#server = server;
  }

  static async start(spec: TraySpec): Promise<ServedTray> {
    const directory = await temporaryDirectory('data-direct-tray');
    const tray = join(directory.path, 'tray.json');
    await writeFile(tray, JSON.stringify(spec));
    const program = [process.execPath, join(import.meta.dirname, 'serve.ts')];
    const server = await startChild(
      [...program, '--tray', tray, '--directory', directory.path],
      join(directory.path, 'server.log'),
    );
    const served = new ServedTray(directory, server);
    let ended: string | undefined;
    void server.ended.then((how) => (ended = how));
    try {
      await until({ what: 'the tray', timeoutMs: startMs, intervalMs: 20 }, async () => {
        const said = await served.log();
        if (ended !== undefined) throw serverError('SERVER_ENDED', { how: ended, said: said.trim() });
        return said.startsWith('ready\n') ? undefined : said || 'nothing';
      });
    } catch (error) {
      await served.end();
      throw error;
    }
    return served;
  }

  /** Where the function waits for a machine. */
  socket(name: string): string {
    return functionSocket(this.#directory.path, name);
  }

  /** In place of the faults that it had; none ends them all. */
  async setFaults(nic: string, faults: Faults): Promise<void> {
    await this.#ask({ do: 'faults', nic, faults });
  }

  /** What the guest reads from now on. */
  async setVpd(dmaFunction: string, image: Buffer): Promise<void> {
    await this.#ask({ do: 'vpd', dmaFunction, vpd: image.toString('base64') });
  }

  async report(nic: string): Promise<NicReport> {
    return (await this.#ask({ do: 'report', nic })) as NicReport;
  }

  /** The function is gone, as if the bus had lost it, until it is plugged in again. */
  async unplug(name: string): Promise<void> {
    await this.#ask({ do: 'unplug', function: name });
  }

  async plug(name: string): Promise<void> {
    await this.#ask({ do: 'plug', function: name });
  }

  /** What the server has said. */
  log(): Promise<string> {
    return readFile(join(this.#directory.path, 'server.log'), 'utf8');
  }

  async end(): Promise<void> {
    await this.#server.kill();
    await this.#directory.remove();
  }

  async #ask(request: ControlRequest): Promise<unknown> {
    const socket = connect(join(this.#directory.path, CONTROL_SOCKET));
    try {
      socket.write(`${JSON.stringify(request)}\n`);
      const line = await firstLine(socket);
      if (line === undefined) {
        const said = (await this.log().catch(() => '')).trim().split('\n').at(-1) ?? '';
        throw serverError('CONTROL_UNANSWERED', { request: request.do, said });
      }
      const answer = JSON.parse(line) as { ok?: unknown; error?: string };
      if (answer.error !== undefined) throw serverError('CONTROL_REFUSED', { problem: answer.error });
      return answer.ok;
    } finally {
      socket.destroy();
    }
  }
}

/** Undefined when the other end goes, is not there or takes too long. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const lines = createInterface(socket).once('line', resolve);
    for (const end of [socket, lines]) end.on('error', () => resolve(undefined));
    socket.once('close', () => resolve(undefined));
    socket.setTimeout(answerMs, () => resolve(undefined));
  });
}
