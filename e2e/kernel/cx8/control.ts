// A running tray changed and asked from outside: a line of JSON in, a line of JSON out, on a socket.
import { closeSync } from 'node:fs';
import { z } from 'zod';
import { RigError } from '../../rig/errors.ts';
import { serverError } from './errors.ts';
import type { Loop } from './loop.ts';
import { accept, listen, receive, send } from './native.ts';
import type { Faults } from './nic/faults.ts';
import { isCommandName } from './nic/opcodes.ts';
import { capabilities, firstProblem, vpd, vuid } from './tray-spec.ts';
import type { Tray } from './tray.ts';

const commandFault = z.union([
  z.literal('no answer'),
  z.strictObject({ status: z.int().min(1).max(0xff), syndrome: z.int().min(0).max(0xffff_ffff).default(0) }),
]);
const faultShape = z
  .strictObject({
    commands: z.record(z.string().refine(isCommandName, 'the name of a firmware command'), commandFault),
    commandTimeoutMs: z.int().min(1).max(0xf_ffff),
    vuids: z.array(vuid),
    capabilities,
    port: z.literal('down'),
    dead: z.boolean(),
    domainsExchanged: z.boolean(),
  })
  .partial();
const faults = faultShape.transform((given) => given as Faults);
/** Their names. */
export const FAULTS: readonly string[] = Object.keys(faultShape.shape);

const named = z.string().max(32);
const request = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('faults'), nic: named, faults }),
  z.strictObject({ do: z.literal('report'), nic: named }),
  z.strictObject({ do: z.literal('vpd'), dmaFunction: named, vpd }),
  z.strictObject({ do: z.literal('unplug'), function: named }),
  z.strictObject({ do: z.literal('plug'), function: named }),
]);
export type ControlRequest = z.infer<typeof request>;

/** The answer to one request; throws CONTROL_INVALID. */
function answer(tray: Tray, json: unknown): unknown {
  const { data, error } = request.safeParse(json);
  if (error !== undefined) throw serverError('CONTROL_INVALID', firstProblem(error));
  if (data.do === 'report') return found(tray.nics, data.nic).report();
  change(tray, data);
  return {};
}

type Change = Exclude<ControlRequest, { do: 'report' }>;

function change(tray: Tray, wanted: Change): void {
  switch (wanted.do) {
    case 'faults':
      return found(tray.nics, wanted.nic).setFaults(wanted.faults);
    case 'vpd':
      return tray.setVpd(wanted.dmaFunction, Buffer.from(wanted.vpd, 'base64'));
    case 'unplug':
      return found(tray.endpoints, wanted.function).unplug();
    case 'plug':
      return found(tray.endpoints, wanted.function).plug();
  }
}

function found<T>(parts: ReadonlyMap<string, T>, name: string): T {
  const part = parts.get(name);
  if (part !== undefined) return part;
  throw serverError('CONTROL_INVALID', { where: name, problem: `there are ${[...parts.keys()].join(', ')}` });
}

const longestLine = 64 * 1024;

/** Requests of any number of clients, one after the other. */
export function serveControl(tray: Tray, path: string, loop: Loop): void {
  const listener = listen(path);
  loop.onReadable(listener, () => {
    const fd = accept(listener);
    if (fd !== undefined) new ControlClient(fd, tray, loop).open();
  });
}

class ControlClient {
  readonly #fd: number;
  readonly #tray: Tray;
  readonly #loop: Loop;
  readonly #bytes = Buffer.alloc(longestLine);
  #have = 0;

  constructor(fd: number, tray: Tray, loop: Loop) {
    this.#fd = fd;
    this.#tray = tray;
    this.#loop = loop;
  }

  open(): void {
    this.#loop.onReadable(this.#fd, () => {
      if (!this.#readable()) this.#close();
    });
  }

  /** False when the client is gone, does not read its answers or sends no lines. */
  #readable(): boolean {
    const received = receive(this.#fd, this.#bytes, this.#have, longestLine - this.#have);
    if (received === 'nothing yet') return true;
    if (received === 'end') return false;
    for (const fd of received.fds) closeSync(fd);
    this.#have += received.bytes;
    for (let end = this.#lineEnd(); end >= 0; end = this.#lineEnd()) {
      const line = this.#bytes.toString('utf8', 0, end);
      this.#bytes.copyWithin(0, end + 1, this.#have);
      this.#have -= end + 1;
      if (!send(this.#fd, Buffer.from(`${JSON.stringify(this.#answer(line))}\n`))) return false;
    }
    return this.#have < longestLine;
  }

  #lineEnd(): number {
    return this.#bytes.subarray(0, this.#have).indexOf('\n');
  }

  #answer(line: string): unknown {
    try {
      return { ok: answer(this.#tray, JSON.parse(line)) };
    } catch (error) {
      if (error instanceof RigError || error instanceof SyntaxError) return { error: error.message };
      throw error;
    }
  }

  #close(): void {
    this.#loop.forget(this.#fd);
    closeSync(this.#fd);
  }
}
