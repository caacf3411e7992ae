// The node agent's process: configuration, doors, agent, signals. What it does is in agent.ts.
import { createVirtualHost, type Host, loadFixture, openLinuxHost, serveControl } from '@data-direct/driver-core';
import { connect, inCluster } from '@data-direct/kube';

import { Agent } from './agent.ts';
import { Checkpoint } from './checkpoint.ts';
import { type Config, configFileOf, kubeletPaths, readConfig } from './config.ts';
import { Hardware } from './hardware.ts';
import { serveHttp } from './http.ts';
import { PodResources } from './kubelet/pod-resources.ts';
import { createLog, errorFields, type Log } from './log.ts';
import { Metrics } from './metrics.ts';
import { ClusterNodeObject, type NodeObject, type OnTrouble } from './node-object.ts';
import { Reporter } from './reporter.ts';
import { SpecFile } from './spec-file.ts';
import { AGENT_VERSION } from './version.ts';
import { makeVirtualDevices, removeVirtualDevices } from './virtual-devices.ts';
