// A vfio-user client for tests: speaks bytes over a socket, and lets the server's loop turn when it waits for an answer.
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Loop } from '../loop.ts';
import { connect, receive, send } from '../native.ts';
import * as wire from './wire.ts';

/** More than any case needs: a server that does not answer fails the case instead of holding it up. */
const mostTurns = 20;

export interface Reply {
  readonly id: number;
  readonly command: number;
  readonly flags: number;
  readonly errno: number;
  readonly body: Buffer;
}

export class Client {
  readonly fd: number;
  readonly #loop: Loop;
  #id = 0;

  constructor(loop: Loop, path: string) {
    this.#loop = loop;
    this.fd = connect(path);
  }

  /** Only sends. */
  post(bytes: Buffer, fds: readonly number[] = []): void {
    if (!send(this.fd, bytes, fds)) throw new Error('the socket did not take the message');
  }

  message(command: number, body: Buffer, flags = 0): Buffer {
    this.#id += 1;
    const size = wire.header.size + body.length;
    return Buffer.concat([wire.header.encode({ id: this.#id, command, size, flags }), body]);
  }

  request(command: number, body: Buffer = Buffer.alloc(0), fds: readonly number[] = []): Reply {
    this.post(this.message(command, body), fds);
    const reply = this.reply();
    if (reply === 'end') throw new Error('the server closed the connection');
    return reply;
  }

  reply(): Reply | 'end' {
    const bytes = Buffer.alloc(wire.longestMessage);
    let have = 0;
    for (let turn = 0; turn < mostTurns; turn += 1) {
      this.#loop.turn(0);
      const received = receive(this.fd, bytes, have, bytes.length - have);
      if (received === 'end') return 'end';
      if (received === 'nothing yet') continue;
      have += received.bytes;
      const { id, command, size, flags, error } = wire.header.read(bytes);
      if (have >= size) return { id, command, flags, errno: error, body: bytes.subarray(wire.header.size, size) };
    }
    throw new Error('the server did not answer');
  }

  read(region: number, offset: number, count: number): Buffer {
    const { body, errno } = this.request(9, wire.regionAccess.encode({ offset: BigInt(offset), region, count }));
    if (errno !== 0) throw new Error(`errno ${errno}`);
    return body.subarray(wire.regionAccess.size);
  }

  write(region: number, offset: number, data: Buffer): Reply {
    const place = wire.regionAccess.encode({ offset: BigInt(offset), region, count: data.length });
    return this.request(10, Buffer.concat([place, data]));
  }

  close(): void {
    closeSync(this.fd);
    this.#loop.turn(0);
  }
}

/** A file as guest memory, or as an eventfd whose size tells how often it was written to. */
export class File {
  readonly fd: number;
  readonly #path: string;

  constructor(directory: string, name: string, size = 0) {
    this.#path = join(directory, name);
    this.fd = openSync(this.#path, 'w+');
    ftruncateSync(this.fd, size);
  }

  /** At its beginning. */
  write(bytes: Buffer): void {
    writeSync(this.fd, bytes, 0, bytes.length, 0);
  }

  content(): Buffer {
    return readFileSync(this.#path);
  }

  remove(): void {
    closeSync(this.fd);
    rmSync(this.#path);
  }
}
