// /healthz, /readyz and /metrics. Nothing else, and nothing that changes anything.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Registry } from 'prom-client';

export interface Health {
  /** What keeps the process from being well, or undefined. A reason here makes the kubelet restart the agent. */
  illness(): string | undefined;
  /** What it still waits for, or undefined. */
  unready(): string | undefined;
}

export interface HttpOptions {
  readonly address: string;
  readonly port: number;
  readonly health: Health;
  readonly registry: Registry;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

/** Listens before it resolves; rejects where the port is taken. Port 0 takes any. */
export async function serveHttp({
  address,
  port,
  health,
  registry,
}: HttpOptions): Promise<{ port: number; close(): void }> {
  const pages: Record<string, () => Promise<Answer> | Answer> = {
    '/healthz': () => verdict(health.illness()),
    '/readyz': () => verdict(health.unready()),
    '/metrics': async () => ({ status: 200, body: await registry.metrics(), type: registry.contentType }),
  };
  const server = createServer({ requestTimeout: 10_000, keepAliveTimeout: 5000 }, (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    const answer = page ? Promise.resolve(page()) : Promise.resolve({ status: 404, body: 'not found\n' } as Answer);
    answer.then(
      ({ status, body, type }) => response.writeHead(status, { 'content-type': type ?? 'text/plain' }).end(body),
      (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
    );
  });
  server.maxConnections = 64;
  await listening(server, address, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function verdict(problem: string | undefined): Answer {
  return problem === undefined ? { status: 200, body: 'ok\n' } : { status: 503, body: `${problem}\n` };
}

function listening(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
}
