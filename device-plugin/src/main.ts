// The node agent's process: configuration, doors, agent, and how it ends. What it does in between is agent.ts's.
import { leave } from '@data-direct/driver-core';
import { connect, inCluster } from '@data-direct/kube';
import { createLog, errorFields, type Log, readCommandLine, servePages } from '@data-direct/process';
import { join } from 'node:path';

import { Checkpoint } from './checkpoint.ts';
import { type Config, readConfig } from './config.ts';
import { Allocations } from './containers/allocations.ts';
import { createAgent } from './create-agent.ts';
import { openMachine } from './machine.ts';
import { Metrics } from './metrics.ts';
import { ClusterNodeObject, type NodeObject, type OnTrouble } from './node-object.ts';
import { agentPages } from './pages.ts';
import { SpecFile } from './spec-file.ts';
import { troubleTeller } from './troubles.ts';
import { AGENT_VERSION } from './version.ts';

/** After this the process ends whatever is still open: the kubelet would kill it some seconds later anyway. */
const LONGEST_LEAVE_MS = 4000;

async function main(log: Log): Promise<void> {
  process.umask(0o077); // sockets and the checkpoint are for root alone
  const config = readConfig(readCommandLine(process.argv.slice(2), ['run']).configFile, process.env);
  log.level = config.logLevel;
  log.info({ version: AGENT_VERSION, config }, 'starting');
  const stop = stopSignal(log);
  const metrics = new Metrics(AGENT_VERSION);
  const { kubeletDir, cdiDir, stateDir, rescanSeconds, http } = config;
  const machine = await openMachine(config);
  const onTrouble = troubleTeller(log, metrics, () => performance.now());
  const node = nodeObject(config, onTrouble);
  const allocations = allocationsIn(config, onTrouble);
  const agent = createAgent({
    ...machine,
    node,
    kubeletDir,
    cdiDir,
    linkDir: join(stateDir, 'devices'),
    rdmaCore: { node: config.rdmaCore, driverFile: join(stateDir, 'mlx5.driver') },
    rescanSeconds,
    allocations,
    log,
    metrics,
  });
  process.on('SIGUSR2', () => log.warn({ state: agent.state() }, 'state, as asked by SIGUSR2'));
  const server = await servePages({
    ...http,
    onError: (error) => log.warn(errorFields(error), 'the certificate was not renewed; the one before it goes on'),
    pages: agentPages(agent, metrics.registry, http),
  });
  await agent.run(stop);
  await allocations.save().catch((error: unknown) => onTrouble('allocations', error));
  server.close();
  await machine.close();
  log.info('ended');
}

function nodeObject({ specFile, cluster, stateDir }: Config, onTrouble: OnTrouble): NodeObject {
  if (specFile !== undefined) return new SpecFile(specFile, onTrouble);
  if (cluster === undefined) throw new TypeError('readConfig gives one of specFile and cluster');
  return new ClusterNodeObject({
    api: connect(inCluster(), { userAgent: `data-direct-agent/${AGENT_VERSION}` }),
    node: cluster.node,
    namespace: cluster.namespace,
    instance: cluster.pod,
    checkpoint: new Checkpoint(join(stateDir, 'spec.json')),
    onTrouble,
  });
}

/** A record that is damaged is begun anew. */
function allocationsIn({ stateDir }: Config, onTrouble: OnTrouble): Allocations {
  const allocations = new Allocations(join(stateDir, 'allocations.json'));
  try {
    allocations.load();
  } catch (error) {
    onTrouble('allocations', error);
  }
  return allocations;
}

/** Aborts when the process is asked to end; from then on its time is limited. */
function stopSignal(log: Log): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => {
      log.info({ signal: name }, 'ending');
      stop.abort();
      setTimeout(() => {
        log.error(`not everything was closed within ${LONGEST_LEAVE_MS} ms`);
        leave(1);
      }, LONGEST_LEAVE_MS).unref();
    });
  return stop.signal;
}

const log = createLog('info');
try {
  await main(log);
} catch (error) {
  log.fatal(errorFields(error), 'cannot go on');
  leave(1);
}
leave(0); // not by itself: a call that hangs in a device would keep the process for ever
