// Kubernetes Events (events.k8s.io/v1) about objects. Best effort: recording never fails or holds up its caller.
import { randomBytes } from 'node:crypto';
import type { KubeApi } from './api.ts';
import { retryDelay } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { isKubeError } from './error.ts';
import { microTime } from './lease.ts';
import { type KubeObject, type Resource, keyOf } from './object.ts';

export interface KubeEvent extends KubeObject {
  eventTime: string;
  type: 'Normal' | 'Warning';
  reason: string;
  action: string;
  note: string;
  reportingController: string;
  reportingInstance: string;
  regarding: { apiVersion: string; kind: string; name: string; namespace?: string; uid?: string };
  series?: { count: number; lastObservedTime: string };
}

export const events: Resource<KubeEvent> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

/** What an event is about: an object as read from the server. Events of cluster-scoped objects go to `default`. */
export type Regarding = Pick<KubeObject, 'apiVersion' | 'kind'> & {
  metadata: Pick<KubeObject['metadata'], 'name' | 'namespace' | 'uid'>;
};

export interface Happening {
  type: 'Normal' | 'Warning';
  /** One CamelCase word: why. */
  reason: string;
  /** One CamelCase word: what the reporter did or was doing. */
  action: string;
  /** A sentence for people; cut at the 1 kB that the server allows. */
  note: string;
}

export interface EventRecorderOptions {
  api: KubeApi;
  /** Such as `datadirect.dev/operator`. */
  reportingController: string;
  /** This replica: the pod's name. */
  reportingInstance: string;
  /** Told of each failed write; for logs and metrics. */
  onError: (error: unknown) => void;
  clock?: Clock;
}

/** A happening that repeats within this time is the same series (client-go's finishTime). */
const seriesMs = 6 * 60_000;
/** Writes about one object: a burst, then one in five minutes (client-go's spam filter). */
const burst = 25;
const refillMs = 5 * 60_000;
const maxRemembered = 4096;
const maxWaiting = 512;
const maxAttempts = 4;
const retry = { firstMs: 1_000, maxMs: 30_000 };
const flushMs = 5_000;
const maxNoteBytes = 1024;

interface Series {
  event: Omit<KubeEvent, 'apiVersion' | 'kind'>;
  count: number;
  lastAt: number;
  created: boolean;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  /** By happening, least recently seen first. */
  readonly #series = new Map<string, Series>();
  /** By object, least recently written about first. */
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  readonly #waiting = new Set<Series>();
  readonly #stopping = new AbortController();
  #writing: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** The same happening about the same object within 6 minutes is counted in one Event's series, not written anew. */
  record(regarding: Regarding, happening: Happening): void {
    if (this.#stopping.signal.aborted) return;
    const object = `${regarding.kind}/${keyOf(regarding)}/${regarding.metadata.uid ?? ''}`;
    const { type, reason, action, note } = happening;
    // The note counts too, unlike in client-go: it names the path, and each path of a node is news of its own.
    const key = [object, type, reason, action, note].join('\n');
    const series = this.#remember(key, () => this.#draft(regarding, happening));
    series.count++;
    if (this.#waiting.has(series)) return;
    if (this.#waiting.size >= maxWaiting || !this.#takeToken(object)) {
      if (!series.created) this.#series.delete(key);
      this.#dropped++;
      return;
    }
    this.#waiting.add(series);
    this.#writing ??= this.#writeAll();
  }

  /** Happenings not written or counted late: over the object's rate, over the queue's limit, or refused by the server. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Writes what waits, for at most 5 s. */
  async stop(): Promise<void> {
    const cancel = this.#clock.after(flushMs, () => this.#stopping.abort());
    await this.#writing;
    cancel();
    this.#stopping.abort();
  }

  #remember(key: string, draft: () => Series['event']): Series {
    const now = this.#clock.now();
    const known = this.#series.get(key);
    const series =
      known && now - known.lastAt < seriesMs ? known : { event: draft(), count: 0, lastAt: now, created: false };
    series.lastAt = now;
    touch(this.#series, key, series);
    return series;
  }

  #takeToken(object: string): boolean {
    const now = this.#clock.now();
    const bucket = this.#buckets.get(object) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    const enough = tokens >= 1;
    touch(this.#buckets, object, { tokens: enough ? tokens - 1 : tokens, at: now });
    return enough;
  }

  #draft({ apiVersion, kind, metadata }: Regarding, happening: Happening): Series['event'] {
    const { reportingController, reportingInstance } = this.#options;
    const { name, namespace, uid } = metadata;
    return {
      metadata: { name: eventName(name), namespace: namespace ?? 'default' },
      eventTime: microTime(this.#clock.wallTime()),
      ...happening,
      note: cutToBytes(happening.note, maxNoteBytes),
      reportingController,
      reportingInstance,
      regarding: {
        apiVersion,
        kind,
        name,
        ...(namespace !== undefined && { namespace }),
        ...(uid !== undefined && { uid }),
      },
    };
  }

  async #writeAll(): Promise<void> {
    const { signal } = this.#stopping;
    await Promise.resolve(); // not on the caller's time
    for (const series of this.#waiting) {
      for (let attempt = 1; !signal.aborted; attempt++) {
        // Out of the set first: what happens during the write is not in it and must wait for the next.
        this.#waiting.delete(series);
        try {
          await this.#write(series);
          break;
        } catch (error) {
          if (signal.aborted) break;
          this.#options.onError(error);
          if (attempt >= maxAttempts || isKubeError(error, ...hopeless)) {
            this.#dropped++;
            break;
          }
          await sleep(this.#clock, retryDelay(attempt, retry, error), signal);
        }
      }
    }
    this.#writing = undefined;
  }

  async #write(series: Series): Promise<void> {
    const { api, reportingController: fieldManager } = this.#options;
    const call = { fieldManager, signal: this.#stopping.signal };
    const { event } = series;
    const counted = { count: series.count, lastObservedTime: microTime(this.#clock.wallTime()) };
    if (series.created) {
      try {
        await api.patch(events, event.metadata, { series: counted }, call);
        return;
      } catch (error) {
        if (!isKubeError(error, 'KUBE_NOT_FOUND')) throw error; // else it has outlived the server's TTL for events
      }
    }
    try {
      await api.create(events, series.count > 1 ? { ...event, series: counted } : event, call);
    } catch (error) {
      if (!isKubeError(error, 'KUBE_ALREADY_EXISTS')) throw error; // else an attempt that seemed to fail was carried out
    }
    series.created = true;
  }
}

/** Refused for what they say: the same again would be refused again. */
const hopeless = ['KUBE_INVALID', 'KUBE_REFUSED', 'KUBE_FORBIDDEN', 'KUBE_NOT_FOUND'] as const;

/** Puts an entry at the young end of a map, and takes the oldest out when there are too many. */
function touch<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxRemembered) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}

/** Unique without asking the server. Names go to 253 characters, and no part of one between two dots may end in a hyphen. */
function eventName(object: string): string {
  return `${object.slice(0, 230).replace(/[-.]+$/, '')}.${randomBytes(8).toString('hex')}`;
}

function cutToBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  const ellipsis = '…';
  let end = limit - Buffer.byteLength(ellipsis);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--; // not within a character
  return bytes.toString('utf8', 0, end) + ellipsis;
}
