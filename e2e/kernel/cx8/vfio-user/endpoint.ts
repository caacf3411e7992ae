// A socket on which one function waits for a QEMU. One machine at a time; when it goes, whatever it left behind is cleared and the
// next may come.
import { closeSync, rmSync } from 'node:fs';

import { RigError } from '../../../rig/errors.ts';
import type { Loop } from '../loop.ts';
import { accept, listen } from '../native.ts';
import type { PciFunction, Slot } from '../pci/function.ts';
import { Connection } from './connection.ts';

export type Log = (line: string) => void;

export class Endpoint {
  readonly function: PciFunction;
  readonly #slot: Slot;
  readonly #path: string;
  readonly #loop: Loop;
  readonly #log: Log;
  #listener: number | undefined;
  #client: { fd: number; connection: Connection } | undefined;

  constructor(loop: Loop, path: string, device: PciFunction, slot: Slot, log: Log) {
    this.#loop = loop;
    this.#path = path;
    this.function = device;
    this.#slot = slot;
    this.#log = log;
  }

  get connected(): boolean {
    return this.#client !== undefined;
  }

  /** Waits for a machine. */
  plug(): void {
    if (this.#listener !== undefined) return;
    const listener = listen(this.#path);
    this.#listener = listener;
    this.#loop.onReadable(listener, () => this.#accept(listener));
  }

  /** As if the device had fallen off the bus: the machine's connection breaks and nobody can connect until it is plugged again. */
  unplug(): void {
    this.#disconnect();
    if (this.#listener === undefined) return;
    this.#loop.forget(this.#listener);
    closeSync(this.#listener);
    this.#listener = undefined;
    rmSync(this.#path, { force: true });
  }

  #accept(listener: number): void {
    const fd = accept(listener);
    if (fd === undefined) return;
    if (this.#client !== undefined) {
      closeSync(fd);
      this.#log(`${this.function.name}: a second machine was turned away: one is connected already`);
      return;
    }
    this.function.reset();
    const connection = new Connection(fd, this.function, this.#slot);
    this.#client = { fd, connection };
    this.#loop.onReadable(fd, () => this.#serve(connection));
  }

  #serve(connection: Connection): void {
    try {
      if (connection.readable() === 'open') return;
      this.#log(`${this.function.name}: the machine has gone`);
    } catch (error) {
      if (!(error instanceof RigError)) throw error;
      this.#log(error.message);
    }
    this.#disconnect();
  }

  #disconnect(): void {
    if (this.#client === undefined) return;
    this.#loop.forget(this.#client.fd);
    // The function first: it may still hold buffers of the guest's memory.
    this.function.reset();
    this.#client.connection.close();
    this.#client = undefined;
  }
}
