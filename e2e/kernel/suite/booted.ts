// One machine for all cases of a describe.

import { afterAll, afterEach, beforeAll } from 'vitest';
import { boot, type Machine, type MachineOptions } from '../machine.ts';

/** Boots before the first case and ends after the last; what the kernel said is printed for each case that fails. */
export function booted(options: () => MachineOptions): () => Machine {
  let machine: Machine | undefined;
  beforeAll(async () => {
    machine = await boot(options());
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(`${task.name}:\n${await machine?.logs()}`);
  });
  afterAll(async () => {
    await machine?.end();
  });
  return () => {
    if (machine === undefined) throw new Error('the machine is there only while cases run');
    return machine;
  };
}
