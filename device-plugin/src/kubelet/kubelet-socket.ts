// Sees kubelet.sock come and go, and a plug-in's own socket go. A kubelet that starts empties the directory and binds the socket anew:
// another file is another kubelet. It keeps its account of devices in the same directory.
import { type FSWatcher, statSync, watch } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { delay, orAborted } from '../delay.ts';

const PATIENCE_MS = 1000;
const SECOND_LOOK_MS = 200;
/** Written whenever a container was given devices and when a plug-in's list has changed, not when a container ends (pkg/kubelet/cm/devicemanager/manager.go). */
const CHECKPOINT = 'kubelet_internal_checkpoint';

export class KubeletSocket {
  /** Where plug-ins and kubelet keep their sockets. */
  readonly directory: string;
  readonly path: string;
  readonly #onCheckpoint: () => void;
  #watcher: FSWatcher | undefined;
  /** The kubelet that is there now, if any: aborted when it is gone or another one has taken its place. */
  #life: { identity: string; over: AbortController } | undefined;
  #arrived = Promise.withResolvers<void>();
  #looked = Promise.withResolvers<void>();

  constructor(directory: string, onCheckpoint: () => void) {
    this.directory = directory;
    this.path = join(directory, 'kubelet.sock');
    this.#onCheckpoint = onCheckpoint;
    this.look();
  }

  /**
   * Looks at the truth again. inotify calls this within a millisecond; the agent's rounds call it too, for a watch that could not be
   * set up yet (the directory is the kubelet's, and may come later) or that missed something.
   */
  look(): void {
    this.#watcher ??= this.#watch();
    this.#looked.resolve();
    this.#looked = Promise.withResolvers();
    const identity = identityOf(this.path);
    if (identity === this.#life?.identity) return;
    this.#life?.over.abort();
    this.#life = identity === undefined ? undefined : { identity, over: new AbortController() };
    if (this.#life === undefined) return;
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  /** Waits for a kubelet; its signal aborts when that kubelet is gone. Undefined when `stop` aborts first. */
  async arrival(stop: AbortSignal): Promise<AbortSignal | undefined> {
    while (!stop.aborted) {
      if (this.#life) return this.#life.over.signal;
      await orAborted(this.#arrived.promise, stop);
    }
    return undefined;
  }

  /**
   * Resolves when nobody listens under this name any more, or `over` aborts. Another agent that took the name took the registration
   * with it: when it ends the kubelet marks the devices unhealthy, and the first agent's stream stays open as if nothing had happened.
   */
  async abandoned(socket: string, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const look = this.#looked.promise;
      if (await isServed(socket)) await orAborted(look, over);
      else {
        // Who takes the name removes the old file a moment before it binds its own.
        await delay(SECOND_LOOK_MS, over);
        if (!(await isServed(socket))) return;
      }
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(this.directory, (_event, name) => {
        if (name === CHECKPOINT) this.#onCheckpoint();
        else this.look();
      });
      watcher.on('error', () => {
        watcher.close();
        this.#watcher = undefined; // the next look sets up another
      });
      return watcher;
    } catch {
      return undefined; // ENOENT, or no inotify instance left: rounds look instead
    }
  }
}

/** Inode numbers are used again at once on some file systems; the change time tells such files apart. */
function identityOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.ino}:${stat.ctimeNs}`;
}

function isServed(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    const answer = (isServing: boolean): void => {
      connection.destroy();
      resolve(isServing);
    };
    connection.once('connect', () => answer(true)).once('error', () => answer(false));
    connection.setTimeout(PATIENCE_MS, () => answer(true)); // its queue is full, so there is one
  });
}
