// driver-core on the stock drivers of real kernels, with virtual ConnectX-8 adapters.

import { describe } from 'vitest';
import { kernelSeries } from '../versions.ts';
import { bindings } from './bindings.ts';
import { dataPath } from './data-path.ts';
import { discovery } from './discovery.ts';
import { firmware } from './firmware.ts';
import { liveFaults } from './live-faults.ts';
import { modules } from './modules.ts';
import { nicAnswers } from './nic-answers.ts';
import { pairing } from './pairing.ts';
import { registration } from './registration.ts';
import { trayEndings } from './tray-endings.ts';
import { vpdOfDmaFunction } from './vpd.ts';
import { withTray } from './with-tray.ts';

describe.each(kernelSeries)('%s', (kernel) => {
  const tray = withTray(kernel);
  discovery(tray);
  registration(tray);
  pairing(tray);
  bindings(tray);
  liveFaults(tray);
  modules(tray, kernel);
  nicAnswers(tray, kernel);
  firmware(tray);
  vpdOfDmaFunction(tray);
  dataPath(tray);
  trayEndings(tray, kernel);
});
