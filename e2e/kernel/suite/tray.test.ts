// driver-core on the stock drivers of real kernels, with virtual ConnectX-8 adapters.

import { describe } from 'vitest';
import { kernelSeries } from '../versions.ts';
import { dataPath } from './data-path.ts';
import { discovery } from './discovery.ts';
import { withTray } from './tray-machine.ts';

describe.each(kernelSeries)('%s', (kernel) => {
  const tray = withTray(kernel);
  discovery(tray);
  dataPath(tray);
});
