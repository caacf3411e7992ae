// One open watch of the virtual server: events, bookmarks, and the ways a stream ends or falls silent.
import type http from 'node:http';
import type { Clock } from '../clock.ts';
import { type Refused, Refusal, statusObject } from './refusal.ts';
import type { Predicate } from './selection.ts';
import type { ServedResource, Store, StoredChange } from './store.ts';

/** What happens to streams that are open: a clean end, a reset connection, no word any more, or an ERROR event. */
export type StreamFault = 'end' | 'reset' | 'silence' | Refused;

const bookmarkMs = 60_000;

export class WatchStream {
  readonly served: ServedResource;
  readonly #store: Store;
  readonly #selects: Predicate;
  readonly #response: http.ServerResponse;
  readonly #wantsBookmarks: boolean;
  readonly #clock: Clock;
  readonly #cancels: (() => void)[] = [];
  #isSilent = false;

  constructor(
    { store, served, clock }: { store: Store; served: ServedResource; clock: Clock },
    selects: Predicate,
    query: Record<string, string>,
    response: http.ServerResponse,
  ) {
    this.served = served;
    this.#store = store;
    this.#clock = clock;
    this.#selects = selects;
    this.#response = response;
    this.#wantsBookmarks = query['allowWatchBookmarks'] === 'true';
    response.on('close', () => this.#finish());
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    this.#bookmarkAgain();
    const seconds = query['timeoutSeconds'];
    if (seconds) this.#cancels.push(clock.after(Number(seconds) * 1000, () => this.fail('end')));
    this.#begin(query['resourceVersion'] ?? '');
  }

  bookmark(): void {
    const { apiVersion, kind } = this.served;
    const metadata = { resourceVersion: String(this.#store.version) };
    if (this.#wantsBookmarks) this.#send('BOOKMARK', { apiVersion, kind, metadata });
  }

  fail(how: StreamFault): void {
    if (typeof how === 'object') this.#send('ERROR', statusObject(how));
    this.#isSilent = true;
    if (how === 'reset') this.#response.socket?.resetAndDestroy();
    else if (how !== 'silence') this.#response.end();
  }

  #begin(resourceVersion: string): void {
    try {
      if (resourceVersion === '' || resourceVersion === '0') {
        for (const object of this.#store.list(this.served).filter(this.#selects)) this.#send('ADDED', object);
      } else {
        for (const change of this.#store.changesAfter(Number(resourceVersion))) this.#pass(change);
      }
      this.#cancels.push(this.#store.onChange((change) => this.#pass(change)));
    } catch (error) {
      // The real server has sent its headers by then, too: 410 comes as an event (k8s.io/apiserver cacher.go).
      if (!(error instanceof Refusal)) throw error;
      this.fail(error.refused);
    }
  }

  /** A change as a watch with a selector sees it: objects come into the selection and go out of it. */
  #pass({ resource, type, object, previous }: StoredChange): void {
    if (resource !== this.served) return;
    const was = previous !== undefined && this.#selects(previous);
    const is = type !== 'DELETED' && this.#selects(object);
    const { resourceVersion = '' } = object.metadata;
    if (is) this.#send(was ? 'MODIFIED' : 'ADDED', object);
    else if (was) this.#send('DELETED', { ...previous, metadata: { ...previous.metadata, resourceVersion } });
  }

  #send(type: string, object: unknown): void {
    if (!this.#isSilent) this.#response.write(`${JSON.stringify({ type, object })}\n`);
  }

  #bookmarkAgain(): void {
    this.#cancels[0] = this.#clock.after(bookmarkMs, () => {
      this.bookmark();
      this.#bookmarkAgain();
    });
  }

  #finish(): void {
    for (const cancel of this.#cancels) cancel();
  }
}
