// The face of the virtual kubelet, for tests and the demo: `@data-direct/device-plugin/virtual`. Nothing that ships imports it.
export { type KnownResource, VirtualKubelet } from './kubelet.ts';
