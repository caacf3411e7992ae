// What a test's function is given in the guest: driver-core, and the few things that a test needs besides.

import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { openLinuxHost } from '../../../driver-core/src/host/linux.ts';
import * as abi from '../../../driver-core/src/verbs/abi.ts';
import * as context from '../../../driver-core/src/verbs/context.ts';
import * as memoryRegion from '../../../driver-core/src/verbs/memory-region.ts';
import * as request from '../../../driver-core/src/verbs/request.ts';
import { addRxeLink } from './rdma-link.ts';

const execute = promisify(execFile);

export const guest = {
  fs,
  /** What the line wrote to its standard output; an error with all it wrote where its exit code is not 0. */
  async shell(line: string): Promise<string> {
    return (await execute('/bin/sh', ['-ec', line], { maxBuffer: 64 * 1024 * 1024 })).stdout;
  },
  openLinuxHost,
  verbs: { abi, ...context, ...memoryRegion, ...request },
  addRxeLink,
};

export type Guest = typeof guest;
