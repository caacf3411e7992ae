// A real one-node Kubernetes on this machine: up, down, and what a test does with it in between.
// How the node is put together is in node/, where its programs come from in toolchain/.

import { readFile } from 'node:fs/promises';
import { RigError } from '../rig/errors.ts';
import { clusterError } from './errors.ts';
import { withLock } from '../rig/lock.ts';
import { bringUp, fingerprintOf } from './node/bring-up.ts';
import { type ComponentName, componentNames } from './node/components.ts';
import { logOf, startComponents, stopComponent, troubleOf } from './node/control.ts';
import { layout, nodeName } from './node/layout.ts';
import { ctrImport, runClient } from './node/clients.ts';
import { rebootNode } from './node/reboot.ts';
import { currentBoot, readState, type RigState } from './node/state.ts';
import { tearDown } from './node/teardown.ts';
import { lastLines, type Output, type RunOptions } from '../rig/run.ts';
import { type Report, reported } from '../rig/progress.ts';
import { ensureToolchain, type Toolchain } from './toolchain/toolchain.ts';

/**
 * One process of the node. Starting ends when it answers its health check, stopping when the process is gone.
 * A kubelet that answers still needs a second or more to find its pods again: until then logs and exec say "not found".
 */
export interface ComponentHandle {
  readonly log: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  restart(): Promise<void>;
}

export interface Cluster {
  /** Of an administrator; works from the host. */
  readonly kubeconfig: string;
  readonly nodeName: string;
  /** A directory with one file per component. */
  readonly logs: string;
  /** The directory of kubectl and helm, for PATH. */
  readonly clients: string;
  readonly components: Readonly<Record<ComponentName, ComponentHandle>>;
  readonly kubelet: ComponentHandle;
  readonly apiserver: ComponentHandle;
  kubectl(args: readonly string[], options?: RunOptions): Promise<Output>;
  helm(args: readonly string[], options?: RunOptions): Promise<Output>;
  /** Gives the node the images of an OCI archive; pods use them with imagePullPolicy: Never. */
  importImage(archive: string): Promise<void>;
  /** Ends all that runs on the node and starts it anew; see node/reboot.ts. Resolves when the kubelet answers. */
  reboot(whileDown?: () => Promise<void>): Promise<void>;
  down(): Promise<void>;
}

export interface Status {
  /** What keeps the cluster from being used; undefined when it is up. */
  readonly trouble: string | undefined;
  readonly components: readonly {
    readonly name: ComponentName;
    readonly pid: number | undefined;
    readonly trouble: string | undefined;
  }[];
}

const quiet: Report = () => undefined;
const rigLock = { file: layout.lock, waitSeconds: 300 };
const nodeAnswerTimeoutMs = 10_000;
const tailLines = 15;

export interface UpOptions {
  readonly report?: Report;
  readonly signal?: AbortSignal;
  /** Do not take a cluster that runs: begin with an empty one. */
  readonly fresh?: boolean;
}

/** Starts the cluster, or takes the one that runs if it is healthy and made of the same parts. */
export async function up({ report = quiet, signal, fresh = false }: UpOptions = {}): Promise<Cluster> {
  requireMachine();
  const toolchain = await ensureToolchain(report, signal);
  const onWait = (): void => report('another run is working on the cluster: waiting for it');
  return withLock({ ...rigLock, onWait }, async () => {
    const state = await recordedState(report);
    if (state !== undefined) {
      const reason = fresh ? 'a fresh one is asked for' : await whyNotReuse(state, toolchain);
      if (reason === undefined) {
        report('the cluster is up already');
        return clusterOf(toolchain);
      }
      report(`replacing the cluster that is there: ${reason}`);
    }
    await tearDown(state);
    try {
      await reported(report, 'starting the cluster', () => bringUp(toolchain, signal));
    } catch (error) {
      if (signal?.aborted !== true) await reportLogs(report);
      await tearDown(await recordedState(report));
      throw error;
    }
    return clusterOf(toolchain);
  });
}

/** Takes everything away, also what a crashed run left. */
export async function down(report: Report = quiet): Promise<void> {
  requireMachine();
  await withLock(rigLock, async () => {
    await reported(report, 'taking the cluster down', async () => tearDown(await recordedState(report)));
  });
}

/** The cluster that runs. */
export async function attach(): Promise<Cluster> {
  requireMachine();
  const state = await readState();
  const trouble = await troubleWith(state);
  if (state === undefined || trouble !== undefined) throw clusterError('NOT_UP', { trouble: trouble ?? '' });
  return clusterOf(state.toolchain);
}

export async function status(): Promise<Status> {
  requireMachine();
  const state = await readState();
  return {
    trouble: await troubleWith(state),
    components: await Promise.all(
      componentNames.map(async (name) => ({
        name,
        pid: state?.processes[name]?.pid,
        trouble: state === undefined ? 'is not running' : await troubleOf(name, state),
      })),
    ),
  };
}

/** For a component of a cluster that need not be healthy: that is what starting one is for. */
export function componentHandle(name: ComponentName): ComponentHandle {
  const start = (): Promise<void> => startComponents([name]);
  const stop = (): Promise<void> => stopComponent(name);
  return {
    log: logOf(name),
    start: () => withLock(rigLock, start),
    stop: () => withLock(rigLock, stop),
    restart: () => withLock(rigLock, () => stop().then(start)),
  };
}

function clusterOf(toolchain: Toolchain): Cluster {
  const handles = Object.fromEntries(componentNames.map((name) => [name, componentHandle(name)])) as Readonly<
    Record<ComponentName, ComponentHandle>
  >;
  return {
    kubeconfig: layout.kubeconfig,
    nodeName,
    logs: layout.logs,
    clients: toolchain.clients,
    components: handles,
    kubelet: handles.kubelet,
    apiserver: handles['kube-apiserver'],
    kubectl: (args, options) => runClient(toolchain, 'kubectl', args, options),
    helm: (args, options) => runClient(toolchain, 'helm', args, options),
    importImage: (archive) => ctrImport(toolchain, archive),
    reboot: (whileDown = async () => undefined) => withLock(rigLock, () => rebootNode(whileDown)),
    down: () => down(),
  };
}

async function whyNotReuse(state: RigState, toolchain: Toolchain): Promise<string | undefined> {
  if (state.fingerprint !== fingerprintOf(toolchain)) return 'it is made of other parts';
  return troubleWith(state);
}

async function troubleWith(state: RigState | undefined): Promise<string | undefined> {
  if (state === undefined) return 'it was not started';
  if (state.bootId !== (await currentBoot())) return 'the machine was started anew since';
  for (const name of componentNames) {
    const trouble = await troubleOf(name, state);
    if (trouble !== undefined) return `${name}: ${trouble}`;
  }
  const ready = ['wait', '--for=condition=Ready', `node/${nodeName}`, '--timeout=5s'];
  return runClient(state.toolchain, 'kubectl', ready, { timeoutMs: nodeAnswerTimeoutMs }).then(
    () => undefined,
    (error: Error) => `the node is not Ready: ${error.message}`,
  );
}

/** A state file that cannot be read still says that a cluster was there: all but its processes' ids is known anyway. */
async function recordedState(report: Report): Promise<RigState | undefined> {
  try {
    return await readState();
  } catch (error) {
    if (!(error instanceof RigError) || error.code !== 'STATE_UNREADABLE') throw error;
    report(error.message);
    return { bootId: '', fingerprint: '', toolchain: {} as Toolchain, sysctls: {}, processes: {} };
  }
}

/** The ends of the logs of those that do not work; of the two that make a node Ready when all do. */
async function reportLogs(report: Report): Promise<void> {
  const state = await readState();
  if (state === undefined) return;
  const started = componentNames.filter((name) => state.processes[name] !== undefined);
  const troubles = await Promise.all(started.map((name) => troubleOf(name, state)));
  const broken = started.filter((_, index) => troubles[index] !== undefined);
  const suspects = broken.length > 0 ? broken : started.filter((name) => name === 'kubelet' || name === 'containerd');
  for (const name of suspects) {
    const log = await readFile(logOf(name), 'utf8');
    report(`--- the end of ${logOf(name)}\n${lastLines(log, tailLines)}`);
  }
}

/** Throws where no cluster can be had. */
export function requireMachine(): void {
  const found = `${process.platform}/${process.arch}`;
  const needed = 'linux/x64'; // kubectl and Helm come for it alone
  if (found !== needed) throw clusterError('MACHINE_UNSUPPORTED', { what: 'a machine of kind', found, needed });
  const uid = process.getuid?.() ?? -1;
  if (uid !== 0) throw clusterError('NOT_ROOT', { uid });
}
