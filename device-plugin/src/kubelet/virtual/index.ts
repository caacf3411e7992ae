// The face of the virtual kubelet, for tests and the demo: `@data-direct/device-plugin/virtual`. Nothing that ships imports it.
export { type KnownResource, VirtualKubelet } from './kubelet.ts';
export { generator } from '../../virtual/random.ts';
export { torment } from '../../virtual/torment.ts';
