// `data-direct dump`: the node as a file, for --from and for rdma_topo. The form stands in dump-file.ts, which is loaded when it is needed: a command that is
// asked often should not pay for what it does not use.
import type { Command } from './command.ts';
import { EXIT } from './command.ts';
import { readNode, tellUnread } from './node.ts';

export const dump: Command = {
  name: 'dump',
  does: 'the node as JSON, for --from here and rdma_topo -F',
  options: {},
  run: async ({ host, terminal }) => {
    const node = await readNode(host, 'None');
    const { dumpOf } = await import('./dump-file.ts');
    terminal.out(JSON.stringify(await dumpOf(host, node), undefined, 1));
    tellUnread(node, terminal);
    return EXIT.done;
  },
};
