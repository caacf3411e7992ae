// A few pages over HTTP or HTTPS for kubelet and Prometheus. What is on them is for others to say; nothing here changes anything.
import { readFileSync, watch } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { dirname } from 'node:path';

import { ProcessError, sentenceOf } from './error.ts';

export interface HttpConfig {
  readonly address: string;
  /** 0 lets the system choose one. */
  readonly port: number;
  /** Absent: plain HTTP. */
  readonly tls?: TlsFiles;
  /** Who may read /metrics: everybody, or who the API server says may. */
  readonly metricsAccess: 'Open' | 'TokenReview';
}

/** Paths of PEM files. Read anew when they change, as a certificate that cert-manager renews does. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export interface Page {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

/** `token`: what the client sent as `Authorization: Bearer`. */
export type PageMaker = (token: string | undefined) => Page | Promise<Page>;
export type Pages = Readonly<Record<string, PageMaker>>;

export interface PageServer {
  readonly port: number;
  close(): void;
}

export interface PageServerOptions extends Pick<HttpConfig, 'address' | 'port' | 'tls'> {
  readonly pages: Pages;
  /** Told of a renewed certificate that cannot be used: the one before it goes on. */
  readonly onError: (error: unknown) => void;
}

const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5000;
const MOST_CONNECTIONS = 64;
/** Node looks for requests that are late every 30 s, which wakes a process that nobody talks to. Until it looks, they hold connections of which there are few. */
const LOOK_FOR_LATE_MS = 10 * 60_000;

/** Listens before it resolves; rejects where the port is taken or the certificate is unusable. */
export async function servePages({ address, port, tls, pages, onError }: PageServerOptions): Promise<PageServer> {
  const options = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: LOOK_FOR_LATE_MS,
  };
  const https = tls && createHttpsServer({ ...options, ...readTls(tls) });
  const server: Server = https ?? createHttpServer(options);
  server.on('request', (request, response) => {
    void pageAt(pages, request.url ?? '', bearerOf(request.headers.authorization)).then((page) =>
      response.writeHead(page.status, { 'content-type': page.type ?? 'text/plain; charset=utf-8' }).end(textOf(page)),
    );
  });
  keepYoungest(server, MOST_CONNECTIONS);
  await listening(server, address, port);
  const stop = tls && whenChanged(tls, () => https?.setSecureContext(readTls(tls)), onError);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      stop?.();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** 200 without a problem, 503 with it. */
export function verdict(problem: string | undefined): Page {
  return problem === undefined ? { status: 200, body: 'ok' } : { status: 503, body: problem };
}

/** The page, for those whose token may read it. */
export function guarded(page: PageMaker, mayRead: (token: string) => Promise<boolean>): PageMaker {
  return async (token) => {
    if (token === undefined) return { status: 401, body: 'a bearer token is needed' };
    if (!(await mayRead(token))) return { status: 403, body: 'this token may not read this page' };
    return page(token);
  };
}

async function pageAt(pages: Pages, url: string, token: string | undefined): Promise<Page> {
  const path = url.split('?', 1)[0] ?? '';
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (!page) return { status: 404, body: `there are ${Object.keys(pages).join(', ')}` };
  try {
    return await page(token);
  } catch (error) {
    return { status: 500, body: sentenceOf(error) };
  }
}

function textOf({ body }: Page): string {
  return body.endsWith('\n') ? body : `${body}\n`;
}

function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
}

function readTls({ certificate, key }: TlsFiles): { cert: Buffer; key: Buffer } {
  try {
    return { cert: readFileSync(certificate), key: readFileSync(key) };
  } catch (error) {
    throw new ProcessError('CERTIFICATE_UNUSABLE', 'the certificate cannot be read', { certificate, key }, error);
  }
}

/** The directory is watched: a Secret is changed by turning the symbolic link ..data. */
function whenChanged({ certificate }: TlsFiles, apply: () => void, onError: (error: unknown) => void): () => void {
  const look = (): void => {
    try {
      apply();
    } catch (error) {
      onError(error); // certificate and key change one after the other: the next event brings the pair
    }
  };
  try {
    const watcher = watch(dirname(certificate), look).on('error', onError);
    return () => watcher.close();
  } catch (error) {
    onError(error); // no inotify instance left on the node: a renewed one waits for a restart
    return () => {};
  }
}

/**
 * Past the limit the connection that is open longest is closed, not the new one refused: else who holds connections without asking
 * anything would keep the kubelet's probes out, and have the process killed.
 */
function keepYoungest(server: Server, limit: number): void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > limit) oldest?.destroy();
  });
}

function listening(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
}
