// One request as the virtual server reads it: verb, object, writer, body.
import type http from 'node:http';
import { text } from 'node:stream/consumers';
import type { Asked } from '../error.ts';
import type { ObjectName } from '../object.ts';
import type { Json } from './fields.ts';
import { Refusal } from './refusal.ts';
import type { ServedResource, Writer } from './store.ts';

/** One request as it came. */
export interface Received {
  verb: Asked['verb'];
  apiVersion: string;
  plural: string;
  namespace?: string;
  name?: string;
  subresource?: string;
  query: Record<string, string>;
  userAgent: string;
  /** The bearer token. */
  token?: string;
  body: unknown;
}

export async function readRequest(request: http.IncomingMessage): Promise<Received> {
  const body = await text(request);
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const at = parsePath(pathname);
  const query = Object.fromEntries(searchParams);
  const { authorization, 'user-agent': userAgent = '' } = request.headers;
  return {
    ...at,
    verb: verbOf(request, query, at.name),
    query,
    userAgent,
    ...(authorization?.startsWith('Bearer ') && { token: authorization.slice('Bearer '.length) }),
    body: body === '' ? undefined : parseBody(body),
  };
}

const patchVerbs: Record<string, Asked['verb'] | undefined> = {
  'application/merge-patch+json': 'patch',
  'application/apply-patch+yaml': 'apply',
};

function verbOf(
  { method = '', headers }: http.IncomingMessage,
  query: Record<string, string>,
  name: string | undefined,
): Asked['verb'] {
  switch (method) {
    case 'POST':
      return 'create';
    case 'DELETE':
      return 'delete';
    case 'GET':
      if (query['watch'] === 'true') return 'watch';
      return name === undefined ? 'list' : 'get';
    case 'PATCH': {
      const verb = patchVerbs[headers['content-type'] ?? ''];
      if (verb) return verb;
      throw new Refusal(415, `the virtual server takes no patch of type ${headers['content-type']}`);
    }
    default:
      throw new Refusal(405, `the virtual server knows no ${method}`);
  }
}

type PathParts = Pick<Received, 'apiVersion' | 'plural' | 'namespace' | 'name' | 'subresource'>;

/** `/api/v1/...` or `/apis/<group>/<version>/...`, then `[namespaces/<namespace>/]<plural>[/<name>[/<subresource>]]`. */
function parsePath(path: string): PathParts {
  const [root, ...rest] = path.split('/').slice(1).map(decodeURIComponent);
  const apiVersion = rest.splice(0, root === 'api' ? 1 : 2).join('/');
  // `namespaces` is also a resource itself: `/api/v1/namespaces/<name>`.
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest.splice(0, 2)[1] : undefined;
  const [plural = '', name, subresource] = rest;
  return {
    apiVersion,
    plural,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
  };
}

function parseBody(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new Refusal(400, `the body is no JSON: ${(error as Error).message}`);
  }
}

export function writerOf({ query, userAgent, subresource }: Received): Writer {
  if (subresource !== undefined && subresource !== 'status') {
    throw new Refusal(404, 'the server could not find the requested resource');
  }
  // Without a field manager the server takes what stands before the first slash of the user agent.
  return { fieldManager: query['fieldManager'] ?? userAgent.split('/')[0] ?? '', ...(subresource && { subresource }) };
}

export function bodyOf({ body }: Received): Json {
  if (typeof body !== 'object' || body === null) throw new Refusal(400, 'the body is no object');
  return body as Json;
}

/** The body of a whole object, which must not contradict the path. */
export function bodyFor(served: ServedResource, asked: Received, at: ObjectName): Json {
  const body = bodyOf(asked);
  const metadata = (body['metadata'] ?? {}) as Partial<ObjectName>;
  const contradicts =
    body['apiVersion'] !== served.apiVersion ||
    body['kind'] !== served.kind ||
    (at.name !== '' && metadata.name !== at.name) ||
    (metadata.namespace ?? at.namespace) !== at.namespace;
  if (contradicts) {
    throw new Refusal(400, 'apiVersion, kind, name or namespace of the body differ from those of the path');
  }
  return { ...body, metadata: { ...metadata, ...(at.namespace !== undefined && { namespace: at.namespace }) } };
}
