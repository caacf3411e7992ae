import { expect, it } from 'vitest';

import { Errno } from '../host/host.ts';
import { Tree } from '../virtual/filesystem.ts';
import { ClassDevices } from './class-devices.ts';

const NIC = { path: 'devices/pci0000:00/0000:00:00.0/0000:01:00.0' };
const OTHER = { path: 'devices/pci0000:00/0000:00:00.0/0000:01:00.1' };

const nothing = (path: string): Errno => new Errno('ENOENT', 2, path);

/** /sys/class/<class>/<name> → …/<class>/<name> below the function; without a function below /sys/devices/virtual. */
function classes(...devices: readonly (readonly [name: string, of?: { readonly path: string }])[]) {
  const tree = new Tree();
  const add = (name: string, of?: { readonly path: string }): void => {
    tree.link(`class/net/${name}`, `${of?.path ?? 'devices/virtual'}/net/${name}`);
  };
  for (const [name, of] of devices) add(name, of);
  const names = (): Map<string, unknown> => tree.directory('class/net').entries;
  const seen = new ClassDevices({
    list: (path) => tree.list(path),
    link: (path) => tree.readLink(path),
    read: nothing,
  });
  return { add, remove: (name: string) => names().delete(name), seen };
}

it('belong to the function below which they hang, and to no other', () => {
  const { seen } = classes(['eth1', NIC], ['eth0', NIC], ['eth2', OTHER], ['lo']);
  expect(seen.of(NIC, 'net')).toEqual(['eth0', 'eth1']);
  expect(seen.of(OTHER, 'net')).toEqual(['eth2']);
});

it('that hang on a part of a function are the part’s and not the function’s', () => {
  const sf = { path: `${NIC.path}/mlx5_core.sf.4` };
  const { seen } = classes(['eth0', NIC], ['eth1', sf], ['eth2', { path: `${NIC.path}/other.thing.1` }]);
  expect(seen.of(NIC, 'net')).toEqual(['eth0']);
  expect(seen.of(sf, 'net')).toEqual(['eth1']);
});

it('are none where the class is not there', () => {
  expect(classes().seen.of(NIC, 'infiniband')).toEqual([]);
});

it('that got another name are seen under it, although no event told', () => {
  const { add, remove, seen } = classes(['eth0', NIC]);
  expect(seen.of(NIC, 'net')).toEqual(['eth0']);
  remove('eth0');
  add('lan', NIC);
  seen.renew();
  expect(seen.of(NIC, 'net')).toEqual(['lan']);
});
