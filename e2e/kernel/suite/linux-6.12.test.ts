// A file for each kernel, so that both run at once: much of each is a driver's waiting.

import { onKernel } from './on-kernel.ts';

onKernel('6.12');
