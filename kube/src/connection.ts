// Where an API server is and how this process proves who it is.
import { readFile } from 'node:fs/promises';
import type { Clock } from './clock.ts';
import { KubeError } from './error.ts';

export interface Connection {
  /** Such as `https://10.96.0.1:443`; plain http only for a virtual server on loopback. */
  server: string;
  /** PEM. Without it and `caFile` the CAs that Node brings. */
  ca?: string;
  /** Read anew like `tokenFile`: CAs rotate too. */
  caFile?: string;
  token?: string;
  /** Read anew every 60 s, and after a 401: bound service account tokens rotate. */
  tokenFile?: string;
  /** PEM client certificate and key, for development outside a cluster. */
  cert?: string;
  key?: string;
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The service account of this pod. Throws KUBE_NOT_CONFIGURED outside a cluster. */
export function inCluster(environment: NodeJS.ProcessEnv = process.env): Connection {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT'];
  if (!host || !port) {
    throw new KubeError(
      'KUBE_NOT_CONFIGURED',
      'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod, so name the server explicitly',
    );
  }
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    caFile: `${serviceAccount}/ca.crt`,
    tokenFile: `${serviceAccount}/token`,
  };
}

/** What one request needs: TLS material and the bearer token. */
export interface Credentials {
  ca?: string;
  cert?: string;
  key?: string;
  token?: string;
}

const rereadMs = 60_000;

/** The credentials of a connection as they are now, read at most once in 60 s. */
export class CredentialSource {
  readonly #connection: Connection;
  readonly #clock: Clock;
  #read: { at: number; credentials: Promise<Credentials> } | undefined;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  current(): Promise<Credentials> {
    const now = this.#clock.now();
    if (this.#read === undefined || now - this.#read.at >= rereadMs) {
      this.#read = { at: now, credentials: this.#load() };
      // A failed read is not kept. Whoever asked for the credentials sees the failure itself.
      this.#read.credentials.catch(() => this.forget());
    }
    return this.#read.credentials;
  }

  /** The server refused them: read the files again for the next request. */
  forget(): void {
    this.#read = undefined;
  }

  async #load(): Promise<Credentials> {
    const { ca, caFile, token, tokenFile, cert, key } = this.#connection;
    const [readCa, readToken] = await Promise.all([
      caFile === undefined ? ca : readCredential(caFile),
      tokenFile === undefined ? token : readCredential(tokenFile),
    ]);
    return {
      ...(readCa !== undefined && { ca: readCa }),
      ...(readToken !== undefined && { token: readToken.trim() }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    };
  }
}

async function readCredential(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new KubeError('KUBE_NOT_CONFIGURED', `${file} cannot be read; is the service account token mounted?`, {
      cause,
    });
  }
}
