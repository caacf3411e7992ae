// The test process's end of the channel to the guest's agent (../guest/agent.ts).

import { kernelError } from '../errors.ts';
import { type Answer, pack, unpack } from '../guest/protocol.ts';
import { JsonLines } from './json-lines.ts';
import { Requests } from './requests.ts';

export interface Hello {
  /** As uname -r prints it. */
  readonly release: string;
  readonly node: string;
}

export class AgentChannel {
  readonly #requests = new Requests();
  #hello = expectedHello();
  #lines: JsonLines | undefined;

  static async listen(path: string): Promise<AgentChannel> {
    const channel = new AgentChannel();
    channel.#lines = await JsonLines.listen(path, (value) => channel.#receive(value as Answer));
    return channel;
  }

  /** When the agent runs. */
  hello(): Promise<Hello> {
    return this.#hello.promise;
  }

  async callFunction(source: string, args: readonly unknown[], timeoutMs: number): Promise<unknown> {
    const send = (id: number): void => this.#lines?.send({ id, kind: 'function', source, args: pack(args) });
    return unpack((await this.#requests.make(shorten(source), timeoutMs, send)) as string);
  }

  async runShell(line: string, timeoutMs: number): Promise<string> {
    const send = (id: number): void => this.#lines?.send({ id, kind: 'shell', line });
    return unpack((await this.#requests.make(shorten(line), timeoutMs, send)) as string) as string;
  }

  /** The guest begins anew: nobody will answer what it was asked, and it says hello again. */
  restart(reason: Error): void {
    this.#requests.failPending(reason);
    this.#hello = expectedHello();
  }

  close(reason: Error): void {
    this.#hello.reject(reason);
    this.#requests.failAll(reason);
    this.#lines?.close();
  }

  #receive(answer: Answer): void {
    if (answer.kind === 'hello') this.#hello.resolve(answer);
    else if (answer.kind === 'value') this.#requests.finish(answer.id, answer.value);
    else {
      const { name, message, stack } = answer;
      this.#requests.fail(answer.id, kernelError('GUEST_FAILED', { name, message, stack }));
    }
  }
}

function expectedHello(): PromiseWithResolvers<Hello> {
  const hello = Promise.withResolvers<Hello>();
  hello.promise.catch(() => undefined); // whoever waits for it hears of it
  return hello;
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
