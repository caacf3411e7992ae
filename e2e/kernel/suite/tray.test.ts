// driver-core on the stock drivers of real kernels, with virtual ConnectX-8 adapters.

import { describe } from 'vitest';
import { kernelSeries } from '../versions.ts';
import { dataPath } from './data-path.ts';
import { discovery } from './discovery.ts';
import { nicAnswers } from './nic-answers.ts';
import { trayEndings } from './tray-endings.ts';
import { withTray } from './with-tray.ts';

describe.each(kernelSeries)('%s', (kernel) => {
  const tray = withTray(kernel);
  discovery(tray);
  nicAnswers(tray, kernel);
  dataPath(tray);
  trayEndings(tray);
});
