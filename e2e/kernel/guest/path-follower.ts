// A program that watches the paths of the node as the node agent does: a round of driver-core whenever follow asks for one. It lives from one
// request to the next.

import { follow } from '../../../driver-core/src/path/follow.ts';
import { Observer } from '../../../driver-core/src/path/observe.ts';
import type { Path } from '../../../driver-core/src/path/path.ts';
import { eventually } from './eventually.ts';
import { openTrackedHost } from './tracked-host.ts';

/** Nothing but events and ports shall ask for a round. */
const options = { debounceMs: 20, rescanMs: 3_600_000, portPollMs: 200 };

export class PathFollower {
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;
  #paths: readonly Path[] = [];

  constructor() {
    this.#following = this.#follow();
  }

  /** Waits until the path of this NIC has this reason. */
  async becomes(nic: string, reason: Path['reason']): Promise<string> {
    const last = (): string => this.#paths.find(({ id }) => id === nic)?.reason ?? 'no path';
    await eventually(`${nic} is ${reason}`, () => (last() === reason ? '' : `it is ${last()}`));
    return reason;
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const host = await openTrackedHost();
    const observer = new Observer(host);
    for await (const trigger of follow(host, { ...options, signal: this.#stop.signal })) {
      this.#paths = await observer.round({ trigger });
    }
  }
}
