import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChild } from '../../rig/child.ts';
import { ServedTray } from './served-tray.ts';
import { smallTray } from './tray.fixture.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'serve-test-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** How the server ends, and all that it says. */
async function served(...words: string[]): Promise<{ how: string; said: string }> {
  const log = join(directory, 'server.log');
  await rm(log, { force: true });
  const child = await startChild([process.execPath, join(import.meta.dirname, 'serve.ts'), ...words], log);
  return { how: await child.ended, said: readFileSync(log, 'utf8').replaceAll(directory, 'DIR') };
}

describe('the server of a tray', () => {
  const wrong: Readonly<Record<string, [words: (tray: string) => string[], said: RegExp]>> = {
    'with a word that it does not know': [() => ['--colour'], /^Unknown option '--colour'.*\nnode .*\n$/],
    'with a directory that is not there': [
      (tray) => ['--tray', tray, '--directory', '/nowhere'],
      /^\/nowhere\/nic0.sock: bind failed with errno 2\n$/,
    ],
    'with a tray that is not there': [
      () => ['--tray', '/nowhere/tray.json', '--directory', '/tmp'],
      /^tray: \/nowhere\/tray.json: ENOENT.*\n$/,
    ],
    'with a tray that is no JSON': [
      () => ['--tray', join(import.meta.dirname, 'serve.ts'), '--directory', '/tmp'],
      /^tray: .*serve.ts: .*JSON.*\n$/,
    ],
  };
  for (const [what, [words, said]] of Object.entries(wrong)) {
    it(`${what} ends at once and says what is wrong`, async () => {
      const tray = join(directory, 'tray.json');
      await writeFile(tray, JSON.stringify(smallTray()));
      const outcome = await served(...words(tray));
      expect(outcome).toEqual({ how: 'exited with 1', said: expect.stringMatching(said) });
    });
  }
});

describe('a served tray', () => {
  it('that cannot be served is told in the server’s words', async () => {
    const [nic] = smallTray().nics;
    const twins = { ...smallTray(), nics: nic === undefined ? [] : [nic, nic] };
    await expect(ServedTray.start(twins)).rejects.toMatchObject({
      code: 'SERVER_ENDED',
      message: "the tray's server exited with 1: tray: $: a name for each function (nic0 is there twice)",
    });
  });

  it('is changed while it runs, and asked', async () => {
    const tray = await ServedTray.start(smallTray());
    try {
      await tray.setFaults('nic0', { port: 'down' });
      expect(await tray.report('nic0')).toMatchObject({ memoryKeys: 0, queuePairs: 0 });
      await expect(tray.report('nic9')).rejects.toMatchObject({
        code: 'CONTROL_REFUSED',
        message: 'the tray refused: control request: nic9: there are nic0, nic1',
      });
    } finally {
      await tray.end();
    }
  });

  it('whose server has gone says so at once', async () => {
    const tray = await ServedTray.start(smallTray());
    await tray.end();
    await expect(tray.report('nic0')).rejects.toMatchObject({ code: 'CONTROL_UNANSWERED' });
  });
});
