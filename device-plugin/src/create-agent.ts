// From doors (host, node object, kubelet directory) to an agent that can be run. main.ts, the demo and tests all come through here.
import type { Host } from '@data-direct/driver-core';
import type { Log } from '@data-direct/process';

import { Agent } from './agent.ts';
import { GpuNames } from './allocation/gpu-names.ts';
import { kubeletPaths } from './config.ts';
import { Allocations } from './containers/allocations.ts';
import { Hardware } from './hardware.ts';
import { PodResources } from './kubelet/pod-resources.ts';
import { Metrics } from './metrics.ts';
import type { NodeObject } from './node-object.ts';
import { Reporter } from './reporter.ts';
import { RuntimeFiles, type RuntimeFilesOptions } from './runtime-files.ts';
import { troubleTeller } from './troubles.ts';
import { AGENT_VERSION } from './version.ts';

export interface Doors {
  readonly host: Host;
  readonly node: NodeObject;
  /** `device-plugins/` and `pod-resources/` are below it. */
  readonly kubeletDir: string;
  /** The node's /dev, or where a virtual host keeps its nodes. */
  readonly deviceDir: string;
  readonly cdiDir?: RuntimeFilesOptions['cdiDir'];
  readonly linkDir?: RuntimeFilesOptions['linkDir'];
  readonly rdmaCore?: RuntimeFilesOptions['rdmaCore'];
  readonly rescanSeconds: number;
  /** Absent: remembered for as long as the process lives. */
  readonly allocations?: Allocations;
  readonly log: Log;
  readonly metrics?: Metrics;
}

/** A driver that is bound or unbound makes a burst of uevents; this long they are gathered. */
const DEBOUNCE_MS = 50;
const PORT_POLL_MS = 5000;

export function createAgent(doors: Doors): Agent {
  const { host, node, kubeletDir, deviceDir, cdiDir, linkDir, rdmaCore, rescanSeconds, log } = doors;
  const { metrics = new Metrics(AGENT_VERSION) } = doors;
  const { plugins, podResources } = kubeletPaths(kubeletDir);
  const { kernelRelease, clock } = host;
  const asked = new PodResources(podResources);
  const gpuNames = new GpuNames();
  const allocations = doors.allocations ?? new Allocations();
  return new Agent({
    hardware: new Hardware(host, { debounceMs: DEBOUNCE_MS, rescanMs: rescanSeconds * 1000, portPollMs: PORT_POLL_MS }),
    reporter: new Reporter({
      node,
      podResources: asked,
      gpuNames,
      allocations,
      kernelRelease,
      now: () => clock.date(),
      log,
      metrics,
    }),
    node,
    podResources: asked,
    files: new RuntimeFiles({
      deviceDir,
      cdiDir,
      linkDir,
      rdmaCore,
      podResources: asked,
      onTrouble: troubleTeller(log, metrics, () => performance.now()),
    }),
    gpuNames,
    allocations,
    pluginDirectory: plugins,
    rescanSeconds,
    log,
    metrics,
  });
}
