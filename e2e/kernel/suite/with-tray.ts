// One machine with a tray of virtual adapters for all cases of a describe.

import { afterAll, afterEach, beforeAll } from 'vitest';
import { TrayMachine } from '../tray-machine.ts';
import type { KernelSeries } from '../versions.ts';

/** Boots before the first case and ends after the last. Of a case that fails, the kernel's log and the tray's are printed. */
export function withTray(kernel: KernelSeries): () => TrayMachine {
  let tray: TrayMachine | undefined;
  beforeAll(async () => {
    tray = await TrayMachine.start(kernel);
    await tray.restore();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') {
      console.log(`${task.name}:\n${await tray?.machine.logs()}\n--- tray:\n${await tray?.tray.log()}`);
    }
    await tray?.restore();
  });
  afterAll(async () => {
    await tray?.end();
  });
  return () => {
    if (tray === undefined) throw new Error('the tray is there only while cases run');
    return tray;
  };
}
