import { link, mkdtemp, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { partsOf } from './changes.ts';
import { runVirtual } from './cli.ts';
import { requestChange, requestParts, serveControl } from './control.ts';
import type { Control } from './control.ts';
import { createVirtualHost } from './host.ts';
import type { VirtualHost } from './host.ts';
import { loadFixture } from './load.ts';

const DMA = '0009:03:00.0';
let directory: string;
let socket: string;
let host: VirtualHost;
let control: Control;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'control-'));
  socket = join(directory, 'run', 'virtual.sock');
  host = createVirtualHost(await loadFixture('gb300-tray'));
  control = await serveControl(host, socket);
});
afterEach(async () => {
  await control.close();
  await rm(directory, { recursive: true, force: true });
});

const driver = (): string | undefined => partsOf(host).find((part) => part.address === DMA)?.driver;

/** What comes back for raw bytes. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const connection = createConnection(socket, () => connection.write(bytes));
    connection.setEncoding('utf8');
    connection.on('data', (chunk: string) => {
      answer += chunk;
    });
    connection.on('error', () => {});
    connection.on('close', () => resolve(answer));
  });
}

describe('the control socket', () => {
  test.each([
    ['the directory above is not there', () => join(directory, 'no', 'such', 'virtual.sock')],
    ['nobody may make anything', () => '/proc/no/virtual.sock'],
    ['its name is too long', () => join(directory, 'x'.repeat(200))],
  ])('says in one line that it cannot be made, where %s', async (_why, at) => {
    await expect(serveControl(host, at())).rejects.toThrow(/no socket can be made there .*name another path/);
  });

  test('is the owner’s alone and gone after closing', async () => {
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    await control.close();
    await expect(stat(socket)).rejects.toThrow('ENOENT');
    control = await serveControl(host, socket);
  });

  test('changes the running host and lists what it has', async () => {
    await requestChange(socket, ['unbind', DMA]);
    expect(driver()).toBeUndefined();
    await requestChange(socket, ['bind', DMA]);
    expect(driver()).toBe('mlx5_ib');
    expect(await requestParts(socket)).toEqual(JSON.parse(JSON.stringify(partsOf(host))));
  });

  test('repeats the refusal of a change that cannot be made', async () => {
    await expect(requestChange(socket, ['bind', DMA])).rejects.toThrow(/bind 0009:03:00.0: the kernel answers EBUSY/);
  });

  test.each<[string, string, string]>([
    ['no JSON', 'unbind\n', 'control request: $: expected one line of JSON'],
    ['an unknown field', '{"do":1}\n', '$.do: expected no such field (known: change, lose, list)'],
    ['both requests', '{"change":["unbind"],"list":true}\n', 'either'],
    ['neither', '{}\n', 'either'],
    ['a change that is no list', '{"change":"unbind"}\n', '$.change: expected an array, got \\"unbind\\"'],
    ['a word that is none', '{"change":["unbind",7]}\n', '$.change[1]: expected a word, got 7'],
    ['a request without end', `{"change":["${'x'.repeat(10_000)}`, 'expected at most 8192 bytes'],
  ])('%s is answered with what was expected', async (_what, bytes, message) => {
    const answer = await raw(bytes);
    expect(answer).toContain('"ok":false');
    expect(answer).toContain(message);
    expect(driver()).toBe('mlx5_ib');
  });

  test('takes the place of one that a killed process left, and of nothing else', async () => {
    await expect(serveControl(host, socket)).rejects.toThrow(/another virtual host already listens there/);
    const file = join(directory, 'file');
    await writeFile(file, '');
    await expect(serveControl(host, file)).rejects.toThrow(/exists and is not a socket/);

    await control.close();
    // A listener whose socket file survives it.
    const killed = createServer();
    await new Promise<void>((resolve) => {
      killed.listen(socket, resolve);
    });
    await link(socket, `${socket}.kept`);
    await new Promise((resolve) => {
      killed.close(resolve);
    });
    await link(`${socket}.kept`, socket);
    await unlink(`${socket}.kept`);
    control = await serveControl(host, socket);
    await requestChange(socket, ['unbind', DMA]);
    expect(driver()).toBeUndefined();
  });

  test('that nobody serves is named', async () => {
    await expect(requestChange(join(directory, 'none.sock'), ['unbind', DMA])).rejects.toThrow(
      /none\.sock: no virtual host answers there \(ENOENT\)/,
    );
  });

  test('closing does not wait for a client that says nothing', async () => {
    const silent = createConnection(socket);
    await new Promise((resolve) => {
      silent.once('connect', resolve);
    });
    const ended = new Promise((resolve) => {
      silent.once('close', resolve);
    });
    silent.on('error', () => {});
    await control.close();
    await ended;
    expect(silent.destroyed).toBe(true);
    control = await serveControl(host, socket);
  });
});

describe('data-direct virtual', () => {
  let out: string[];
  let err: string[];
  const run = (...argv: string[]): Promise<number> => {
    out = [];
    err = [];
    return runVirtual(argv, { out: (line) => out.push(line), err: (line) => err.push(line) });
  };

  test('makes a change and says so', async () => {
    expect(await run('--socket', socket, 'unbind', DMA)).toBe(0);
    expect(out).toEqual([`unbind ${DMA}`]);
    expect(driver()).toBeUndefined();
  });

  test('exits with 1 when it is refused and with 2 when it is misused', async () => {
    expect(await run('--socket', socket, 'bind', DMA)).toBe(1);
    expect(err.join()).toMatch(/EBUSY/);
    expect(await run('--sockets', socket)).toBe(2);
    expect(err.join()).toMatch(/--sockets/);
    expect(await run()).toBe(2);
    expect(await run('--socket', join(directory, 'none'), 'list')).toBe(1);
  });

  test('lists the parts as a table and as JSON', async () => {
    await run('--socket', socket, 'list');
    expect(out.join('\n')).toMatch(/^0000:03:00\.0 +nic +mlx5_0 +mlx5_core +ACTIVE +10$/m);
    await run('--socket', socket, '--json', 'list');
    expect(JSON.parse(out.join('\n'))).toHaveLength(13);
  });

  test('writes a fixture’s tree to a new directory only', async () => {
    const tree = join(directory, 'sys');
    expect(await run('--fixture', 'gb300-tray', 'materialise', tree)).toBe(0);
    expect((await stat(join(tree, 'bus/pci/devices', DMA, 'config'))).size).toBe(4096);
    expect(await run('materialise', tree)).toBe(1);
    expect(err.join()).toMatch(/not empty/);
    expect(await run('materialise')).toBe(1);
    expect(await run('--help')).toBe(0);
    expect(out.join()).toMatch(/port-down <nic>/);
  });

  test('a fixture that cannot be read is named', async () => {
    const file = join(directory, 'broken.json');
    await writeFile(file, '[{}]');
    expect(await run('--fixture', file, 'materialise', join(directory, 'sys'))).toBe(1);
    expect(err.join()).toContain(`${file}: $[0].realpath: expected a path such as`);
  });
});
