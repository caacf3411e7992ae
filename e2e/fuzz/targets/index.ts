// All that is fuzzed.

import type { Target } from '../target.ts';
import { byteTargets } from './bytes.ts';
import { dumpFileTargets } from './dump-file.ts';
import { ioctlTargets } from './ioctl.ts';
import { sysfsTargets } from './sysfs.ts';

export const TARGETS: readonly Target[] = [...byteTargets, ...sysfsTargets, ...ioctlTargets, ...dumpFileTargets];
