// Whether the bearer of a token may read a page of ours. The API server knows tokens (TokenReview) and rights (SubjectAccessReview); we
// only ask, and remember its answer for a minute. Prometheus operators and kube-rbac-proxy do the same.
import { createHash } from 'node:crypto';

import type { KubeApi } from './api.ts';
import { type Clock, systemClock } from './clock.ts';
import type { KubeObject, Resource } from './object.ts';

interface TokenReview extends KubeObject {
  spec: { token: string };
  status?: {
    authenticated?: boolean;
    user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
  };
}

interface SubjectAccessReview extends KubeObject {
  spec: {
    user?: string;
    uid?: string;
    groups?: string[];
    extra?: Record<string, string[]>;
    nonResourceAttributes: { path: string; verb: string };
  };
  status?: { allowed?: boolean };
}

export const tokenReviews: Resource<TokenReview> = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenReview',
  plural: 'tokenreviews',
  namespaced: false,
};

const subjectAccessReviews: Resource<SubjectAccessReview> = {
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SubjectAccessReview',
  plural: 'subjectaccessreviews',
  namespaced: false,
};

export interface AccessOptions {
  readonly api: Pick<KubeApi, 'create'>;
  /** The nonResourceURL that RBAC has to allow `get` on, such as `/metrics`. */
  readonly path: string;
  /** Who asks, in the server's log. */
  readonly fieldManager: string;
  readonly clock?: Clock;
}

/** A right that is taken away is gone after so long; a scraper asks every 15 to 60 s. */
const REMEMBERED_MS = 60_000;
const MOST_REMEMBERED = 64;
const TIMEOUT_MS = 5000;

/** Answers whether a token may. Rejects with a KubeError when the server cannot be asked: then nobody is let in. */
export function accessReview({
  api,
  path,
  fieldManager,
  clock = systemClock,
}: AccessOptions): (token: string) => Promise<boolean> {
  const remembered = new Map<string, { readonly mayRead: boolean; readonly until: number }>();
  const options = { fieldManager, timeoutMs: TIMEOUT_MS };
  return async (token) => {
    const key = createHash('sha256').update(token).digest('base64'); // no token lies about in memory longer than its request
    const known = remembered.get(key);
    if (known && clock.now() < known.until) return known.mayRead;
    const mayRead = await ask(token);
    remembered.delete(key);
    remembered.set(key, { mayRead, until: clock.now() + REMEMBERED_MS });
    const [oldest] = remembered.keys();
    if (remembered.size > MOST_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    return mayRead;
  };

  async function ask(token: string): Promise<boolean> {
    // Reviews have no name: nothing is stored.
    const review = await api.create(tokenReviews, { metadata: { name: '' }, spec: { token } }, options);
    const { authenticated = false, user } = review.status ?? {};
    if (!authenticated || !user) return false;
    const { username, uid, groups, extra } = user;
    const spec = {
      ...(username !== undefined && { user: username }),
      ...(uid !== undefined && { uid }),
      ...(groups && { groups }),
      ...(extra && { extra }),
      nonResourceAttributes: { path, verb: 'get' },
    };
    const answer = await api.create(subjectAccessReviews, { metadata: { name: '' }, spec }, options);
    return answer.status?.allowed ?? false;
  }
}
