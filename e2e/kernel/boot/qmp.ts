// QEMU's monitor protocol: commands with answers, and events (docs/interop/qmp-spec.rst).

import { kernelError } from '../errors.ts';
import { JsonLines } from './json-lines.ts';
import { Requests } from './requests.ts';

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

type Message =
  | { readonly QMP: object }
  | QmpEvent
  | { readonly return: unknown; readonly id?: number }
  | { readonly error: { readonly class: string; readonly desc: string }; readonly id?: number };

const commandTimeoutMs = 15_000;

export class Qmp {
  readonly #requests = new Requests();
  /** Everything that QEMU told since it started, the newest last. */
  readonly events: QmpEvent[] = [];
  #lines: JsonLines | undefined;

  static async listen(path: string): Promise<Qmp> {
    const qmp = new Qmp();
    qmp.#lines = await JsonLines.listen(path, (value) => qmp.#receive(value as Message));
    return qmp;
  }

  execute(command: string, fields: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const send = (id: number): void => this.#lines?.send({ execute: command, arguments: fields, id });
    return this.#requests.make(`QMP ${command}`, commandTimeoutMs, send);
  }

  close(reason: Error): void {
    this.#requests.failAll(reason);
    this.#lines?.close();
  }

  #receive(message: Message): void {
    if ('QMP' in message) this.#lines?.send({ execute: 'qmp_capabilities' });
    else if ('event' in message) this.events.push(message);
    else if (message.id === undefined)
      return; // the answer to qmp_capabilities
    else if ('error' in message) {
      const { desc } = message.error;
      this.#requests.fail(message.id, kernelError('QMP_REFUSED', { desc }));
    } else this.#requests.finish(message.id, message.return);
  }
}
