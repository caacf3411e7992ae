// `data-direct watch`: what happens to a node's paths, as it happens.
import type { Host } from '../host/host.ts';
import { UeventError } from '../host/uevents.ts';
import { follow } from '../path/follow.ts';
import { Observer } from '../path/observe.ts';
import type { Path } from '../path/path.ts';
import type { Command, Invocation, Terminal } from './command.ts';
import { EXIT } from './command.ts';
import { COLOURS } from './shown.ts';

const DEBOUNCE_MS = 50;
const RESCAN_MS = 30_000;
const PORT_POLL_MS = 5000;

export const watch: Command = {
  name: 'watch',
  does: 'paths as they change, until it is interrupted',
  lasts: true,
  options: {
    json: { type: 'boolean', does: 'for programs, one object a line' },
    socket: { type: 'string', does: 'with --from: take changes there, from data-direct virtual --socket …' },
  },
  run: async (invocation) => {
    const { host, given, terminal } = invocation;
    const { socket } = given;
    if (typeof socket !== 'string') return watchNode(invocation);
    const { VirtualHost } = await import('../virtual/host.ts');
    if (!(host instanceof VirtualHost)) {
      terminal.err('--socket goes with --from: a real node changes by itself');
      return EXIT.misused;
    }
    const { serveControl } = await import('../virtual/control.ts');
    const control = await serveControl(host, socket);
    try {
      return await watchNode(invocation);
    } finally {
      await control.close();
    }
  },
};

async function watchNode({ host, given, terminal, signal }: Invocation): Promise<number> {
  try {
    for await (const transition of transitions(host, signal)) {
      terminal.out(given['json'] ? JSON.stringify(transition) : textOf(transition, terminal));
    }
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof UeventError)) throw error;
    terminal.err(error.message);
    return EXIT.failed;
  }
}

interface Transition {
  readonly time: string;
  readonly id: string;
  readonly path: string;
  /** Left out of the first line about a path. */
  readonly from: Path['reason'] | undefined;
  /** Left out when the NIC is gone. */
  readonly to: Path['reason'] | undefined;
  readonly state: Path['state'] | undefined;
  readonly message: string;
}

/** Every path as it is found, then each change of reason or of words. */
async function* transitions(host: Host, signal: AbortSignal): AsyncGenerator<Transition> {
  const observer = new Observer(host);
  let before = new Map<string, Path>();
  const options = { debounceMs: DEBOUNCE_MS, rescanMs: RESCAN_MS, portPollMs: PORT_POLL_MS, signal };
  for await (const trigger of follow(host, options)) {
    const paths = await observer.round({ trigger });
    const now = new Map(paths.map((path) => [path.id, path]));
    const time = host.clock.date().toISOString();
    yield* between(before, now).map((change) => ({ time, ...change }));
    before = now;
  }
}

function between(before: ReadonlyMap<string, Path>, now: ReadonlyMap<string, Path>): Omit<Transition, 'time'>[] {
  const changed = [...now.values()].filter((path) => {
    const old = before.get(path.id);
    return old?.reason !== path.reason || old.message !== path.message;
  });
  const gone = [...before.values()].filter(({ id }) => !now.has(id));
  return [
    ...changed.map((path) => {
      const { id, name, reason, state, message } = path;
      return { id, path: name, from: before.get(id)?.reason, to: reason, state, message };
    }),
    ...gone.map(({ id, name, reason }) => ({
      id,
      path: name,
      from: reason,
      to: undefined,
      state: undefined,
      message: `NIC ${id} is not on the bus any more`,
    })),
  ];
}

function textOf({ time, path, from, to, state, message }: Transition, { paint }: Terminal): string {
  const reasons = from === undefined || from === to ? (to ?? '') : `${from} → ${to ?? 'gone'}`;
  return `${time}  ${path}  ${paint(state ? COLOURS[state] : 'gray', reasons)}: ${message}`;
}
