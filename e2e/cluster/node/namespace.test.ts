import { describe, expect, it } from 'vitest';
import { network } from './layout.ts';
import { clashOf, inNamespaces } from './namespace.ts';

const link = (ifname: string, local: string, prefixlen: number) => ({ ifname, addr_info: [{ local, prefixlen }] });

describe('the cable to the node', () => {
  it('is laid where no network of the machine is', () => {
    expect(
      clashOf([link('lo', '127.0.0.1', 8), link('eth0', '192.0.2.2', 24), link('wg0', '10.0.0.1', 8)]),
    ).toBeUndefined();
  });

  it.each([
    ['its very address', network.nodeAddress, 32],
    ['a neighbour in a network of the same size', '198.18.95.3', 30],
    ['a wider network around it', '198.18.0.7', 15],
  ])('is not laid over %s', (_, local, length) => {
    const found = { link: 'eth1', found: `${local}/${length}` };
    expect(clashOf([link('eth0', '192.0.2.2', 24), link('eth1', local, length)])).toEqual(found);
  });
});

describe('a process of the node', () => {
  const own = '--net=/run/netns/data-direct';

  it('enters the network namespace alone, and keeps /sys with its cgroups', () => {
    expect(inNamespaces('/x/etcd', ['--v=2'], { mounts: false })).toEqual(['nsenter', own, '/x/etcd', '--v=2']);
  });

  it('sees the mounts of the node where it makes some itself', () => {
    const mounts = '--mount=/run/data-direct-cluster/mounts/namespace';
    expect(inNamespaces('/x/kubelet', [], { mounts: true })).toEqual(['nsenter', own, mounts, '/x/kubelet']);
  });
});
