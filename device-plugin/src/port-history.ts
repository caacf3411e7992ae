// Ports that come and go: how often each fell, and whether one that came back is to be trusted yet. Time is the caller's.
import { type NodePath, stateOf } from '@data-direct/crds';
import type { OfferedPath } from './offered.ts';

/** A port that fell so often within the window counts as down until it has been up for a while: pods would lose it again at once. */
const FALLS = 3;
const WINDOW_MS = 5 * 60_000;
const STEADY_MS = 60_000;

interface Port {
  isUp: boolean;
  /** When it last changed. */
  since: number;
  /** When it fell, within the window. */
  recent: readonly number[];
  /** Since this process began to look. */
  falls: number;
  /** Before that, as an earlier agent reported it. */
  before: number;
}

export class PortHistory {
  readonly #ports = new Map<string, Port>();

  /** The paths as they shall count: a fall counts at once, a return only if the port was not up and down all the time. */
  steady(paths: readonly OfferedPath[], now: number): OfferedPath[] {
    return paths.map((path) => {
      const port = this.#seen(path, now);
      return port && holdEnds(port) > now && path.state !== 'Unavailable' ? held(path, port) : path;
    });
  }

  /** From the last status, so that a restart of the agent forgets no fall. What it says of our own falls is not added to them. */
  learn(paths: readonly NodePath[]): void {
    for (const { id, portFalls = 0 } of paths) {
      const port = this.#ports.get(id);
      if (port) port.before = Math.max(port.before, portFalls - port.falls);
    }
  }

  /** How often the port of this path was seen to fall. */
  falls(id: string): number {
    const port = this.#ports.get(id);
    return port ? port.before + port.falls : 0;
  }

  /** When the next port will have been up for long enough. */
  nextSteady(now: number): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#ports.values()].map(holdEnds).filter((end) => end > now));
  }

  /** A NIC without RDMA device has no port that could fall: its driver is what is missing. */
  #seen({ id, nic: { rdmaDevice, portState } }: OfferedPath, now: number): Port | undefined {
    const known = this.#ports.get(id);
    if (rdmaDevice === undefined || portState === undefined) return known;
    const isUp = portState === 'ACTIVE';
    const port = known ?? { isUp, since: now, recent: [], falls: 0, before: 0 };
    this.#ports.set(id, port);
    if (port.isUp === isUp) return port;
    port.isUp = isUp;
    port.since = now;
    if (!isUp) {
      port.falls += 1;
      port.recent = [...port.recent.filter((at) => at > now - WINDOW_MS), now];
    }
    return port;
  }
}

function holdEnds({ isUp, since, recent }: Port): number {
  const lately = recent.filter((at) => at > since - WINDOW_MS).length;
  return isUp && lately >= FALLS ? since + STEADY_MS : 0;
}

function held(path: OfferedPath, { recent }: Port): OfferedPath {
  const message =
    `the port of ${path.name} is ACTIVE again, but fell ${recent.length} times within ${WINDOW_MS / 60_000} minutes: ` +
    `it counts once it has been up for ${STEADY_MS / 1000} s`;
  return { ...path, state: stateOf('PortDown'), reason: 'PortDown', message };
}
