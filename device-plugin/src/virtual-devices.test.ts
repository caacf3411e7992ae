// Device nodes of a virtual tray: that they can be made is shown by the agent's process (main.test.ts), here what happens when not.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { makeVirtualDevices } from './virtual-devices.ts';

test('a node that cannot be made is named, with the kernel’s errno', () => {
  const directory = mkdtempSync(join(tmpdir(), 'devices-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const tooLong = 'u'.repeat(300);
  expect(() => makeVirtualDevices(directory, [tooLong])).toThrow(
    `cannot make device node ${join(directory, 'infiniband', tooLong)}: ENAMETOOLONG`,
  );
});
