// What a part of the toolchain is. The parts themselves: go.ts, clients.ts and ../images/test-images.ts.

import type { Step } from '../../rig/progress.ts';

export type PartName = 'clients' | 'images' | 'etcd' | 'containerd' | 'kubernetes';

export interface Part {
  readonly name: PartName;
  readonly version: string;
  /** How its building reads in the progress lines. */
  readonly about: string;
  /** Everything that, if it changed, would make another result. */
  inputs(): Promise<readonly string[]>;
  build(directory: string, step: Step, signal?: AbortSignal): Promise<void>;
}
