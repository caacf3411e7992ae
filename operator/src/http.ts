// A few pages over plain HTTP for kubelet and Prometheus. What is on them is for others to say.
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Page {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>;

const requestTimeoutMs = 5_000;
const maxConnections = 64;

/** Resolves when it listens; port 0 lets the system choose one. */
export async function servePages(
  address: string,
  port: number,
  pages: Pages,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    void pageAt(pages, path).then(({ status, type = 'text/plain; charset=utf-8', body }) =>
      response.writeHead(status, { 'content-type': type }).end(`${body}\n`),
    );
  });
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, address, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

async function pageAt(pages: Pages, path: string): Promise<Page> {
  if (!Object.hasOwn(pages, path))
    return { status: 404, body: `nothing at ${path}; there are ${Object.keys(pages).join(', ')}` };
  try {
    return (await pages[path]?.()) ?? { status: 204, body: '' };
  } catch (error) {
    return { status: 500, body: String(error) };
  }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
