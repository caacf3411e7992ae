// Of which parts the toolchain consists. The parts themselves: go.ts, clients.ts, rdma-core.ts and ../images/test-images.ts.

import type { Part as RigPart } from '../../rig/part.ts';

export type PartName = 'clients' | 'images' | 'rdma-core' | 'etcd' | 'containerd' | 'kubernetes';

export type Part = RigPart<PartName>;
