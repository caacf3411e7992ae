// Chapter: what agent and operator weigh, as the kubelet counts it. Printed, not asserted. The working set is anonymous memory and a little of the
// kernel's own: the pages of program files are counted where the image was unpacked. After work it is V8's heap that has grown.
import { describe, expect, test } from 'vitest';

import { figure } from './figures.ts';
import { eventually, NAMESPACE, type World } from './world.ts';

/** The part of the kubelet's stats/summary that is read here (k8s.io/kubelet/pkg/apis/stats/v1alpha1). */
interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly containers?: readonly {
      readonly name: string;
      readonly memory?: { readonly workingSetBytes?: number; readonly rssBytes?: number };
    }[];
  }[];
}

export function measuring(world: () => World, when: string): void {
  describe(`memory, ${when}`, () => {
    test.each(['agent', 'operator'])('the kubelet knows the working set of the %s', async (name) => {
      const memory = await eventually(`the kubelet has measured the ${name}`, async () => {
        const { stdout } = await world().cluster.kubectl([
          'get',
          '--raw',
          `/api/v1/nodes/${world().node}/proxy/stats/summary`,
        ]);
        const { pods } = JSON.parse(stdout) as Summary;
        return pods
          .filter(({ podRef }) => podRef.namespace === NAMESPACE)
          .flatMap(({ containers = [] }) => containers)
          .find((container) => container.name === name && container.memory?.workingSetBytes !== undefined)?.memory;
      });
      expect(memory.workingSetBytes).toBeGreaterThan(0);
      figure(
        `${name}, ${when}: working set / anonymous`,
        `${mebibytes(memory.workingSetBytes)} / ${mebibytes(memory.rssBytes)}`,
      );
    });
  });
}

function mebibytes(bytes = Number.NaN): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
