import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TemporaryDirectory, temporaryDirectory } from '../../rig/temporary.ts';
import { JsonLines } from './json-lines.ts';

let directory: TemporaryDirectory;
beforeEach(async () => {
  directory = await temporaryDirectory('json-lines-test');
});
afterEach(() => directory.remove());

describe('lines of JSON', () => {
  it('come one by one, however they were cut on the way', async () => {
    const received: unknown[] = [];
    const all = Promise.withResolvers<void>();
    const lines = await JsonLines.listen(`${directory.path}/sock`, (value) => {
      received.push(value);
      if (received.length === 2) all.resolve();
    });
    const peer = connect(`${directory.path}/sock`);
    peer.write('{"a":');
    peer.write('1}\n"second"');
    peer.write('\n');
    await all.promise;
    expect(received).toEqual([{ a: 1 }, 'second']);
    peer.destroy();
    lines.close();
  });

  it('are sent to whoever connected, and to nobody once that is gone', async () => {
    const connected = Promise.withResolvers<void>();
    const lines = await JsonLines.listen(`${directory.path}/sock`, () => connected.resolve());
    lines.send('too early');
    const peer = connect(`${directory.path}/sock`);
    peer.write('"here"\n');
    await connected.promise;
    lines.send({ hello: true });
    const [chunk] = (await once(peer, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('{"hello":true}\n');
    peer.destroy();
    await once(peer, 'close');
    lines.send('nobody hears it');
    lines.close();
  });
});
