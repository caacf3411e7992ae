// Pages as kubelet, Prometheus and strangers ask for them.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, onTestFinished, test } from 'vitest';

import { guarded, type Pages, type PageServer, servePages, type TlsFiles, verdict } from './pages.ts';

const LOOPBACK = fileURLToPath(new URL('../../kube/src/fixtures/loopback', import.meta.url));
const errors: unknown[] = [];

const onError = (error: unknown): void => void errors.push(error);

async function serve(pages: Pages, tls?: TlsFiles): Promise<PageServer> {
  const server = await servePages({ address: '127.0.0.1', port: 0, pages, onError, ...(tls && { tls }) });
  onTestFinished(() => server.close());
  return server;
}

async function ask(pages: Pages, path: string, token?: string): Promise<{ status: number; body: string }> {
  const { port } = await serve(pages);
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  return { status: answer.status, body: await answer.text() };
}

const pages: Pages = {
  '/healthz': () => verdict(undefined),
  '/readyz': () => verdict('the caches are not full'),
  '/broken': () => {
    throw new Error('no such thing', { cause: new Error('disk') });
  },
  '/metrics': guarded(
    () => ({ status: 200, body: 'up 1\n', type: 'text/plain; version=0.0.4' }),
    (token) => Promise.resolve(token === 'prometheus'),
  ),
};

test.each([
  ['/healthz', 200, 'ok\n'],
  ['/healthz?verbose', 200, 'ok\n'],
  ['/readyz', 503, 'the caches are not full\n'],
  ['/broken', 500, 'no such thing: disk\n'],
])('%s is answered with %i', async (path, status, body) => {
  expect(await ask(pages, path)).toEqual({ status, body });
});

test.each(['/', '/metrics/', '/__proto__', '/constructor', '/../healthz/x'])('%s is not found', async (path) => {
  expect(await ask(pages, path)).toEqual({ status: 404, body: 'there are /healthz, /readyz, /broken, /metrics\n' });
});

test.each([
  [undefined, 401],
  ['stranger', 403],
  ['prometheus', 200],
])('a guarded page answers the token %s with %i', async (token, status) => {
  expect((await ask(pages, '/metrics', token)).status).toBe(status);
});

test.each(['http', 'https'])(
  'who opens connections and asks nothing does not keep probes out, over %s',
  async (scheme) => {
    const { port } = scheme === 'https' ? await serve(pages, certificate()) : await serve(pages);
    const idle = await Promise.all(Array.from({ length: 200 }, () => opened(port)));
    const closed = new Promise((resolve) => idle[0]?.once('close', resolve));
    const status =
      scheme === 'https' ? statusOverTls(port) : fetch(`http://127.0.0.1:${port}/healthz`).then((it) => it.status);
    expect(await status).toBe(200);
    await closed;
    for (const socket of idle) socket.destroy();
  },
);

function opened(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connectPlain(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', () => {}); // reset by the server
  });
}

test('a port that is taken is told at the start', async () => {
  const { port } = await serve(pages);
  await expect(servePages({ address: '127.0.0.1', port, pages, onError: () => {} })).rejects.toThrow('EADDRINUSE');
});

function certificate(): TlsFiles {
  const directory = mkdtempSync(join(tmpdir(), 'pages-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const files = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
  cpSync(`${LOOPBACK}.crt`, files.certificate);
  cpSync(`${LOOPBACK}.key`, files.key);
  return files;
}

function statusOverTls(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path: '/healthz', rejectUnauthorized: false, agent: false }, (response) => {
      resolve(response.resume().statusCode);
    }).once('error', reject);
  });
}

test('with a certificate the pages come over TLS, and a renewed one that is broken does not end that', async () => {
  const files = certificate();
  const { port } = await serve(pages, files);
  expect(await statusOverTls(port)).toBe(200);
  writeFileSync(files.certificate, 'not a certificate');
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  expect(await statusOverTls(port)).toBe(200);
  const socket = await new Promise<TLSSocket>((resolve) => {
    const one = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => resolve(one));
  });
  expect(socket.getProtocol()).toBe('TLSv1.3');
  socket.destroy();
});

test('a certificate that is not there ends the start by its name', async () => {
  const missing = { certificate: '/no/such.crt', key: '/no/such.key' };
  await expect(serve(pages, missing)).rejects.toMatchObject({ code: 'CERTIFICATE_UNUSABLE', fields: missing });
});
