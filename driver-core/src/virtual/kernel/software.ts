// A software RDMA device as `rdma link add <name> type rxe` makes it: the common part of uverbs with a driver that registers no DMABUFs and has
// nothing of its own (drivers/infiniband/sw/rxe/rxe_verbs.c).
import { RDMA_DRIVER_RXE } from '../../verbs/abi.ts';
import { methodTable } from './methods.ts';
import type { DriverOps } from './methods.ts';
import type { MethodTable, UverbsDevice } from './uverbs.ts';

export interface SoftwareDevice extends UverbsDevice {
  readonly name: string;
  /** Of uverbsN. */
  readonly number: number;
  readonly methods: MethodTable;
}

/** One vector a processor. */
const COMPLETION_VECTORS = 2;

const RXE: DriverOps = {
  completionVectors: COMPLETION_VECTORS,
  // Neither context nor protection domain take or give anything of the driver's.
  allocContext: () => ({}),
  allocPd: () => undefined,
  registerDmabuf: undefined,
  dmabufAttributes: [],
  deviceMethods: [],
  objects: [],
};

export function softwareDevice(name: string, number: number, mayCharge: () => boolean): SoftwareDevice {
  return {
    name,
    number,
    methods: methodTable(RXE),
    driverId: RDMA_DRIVER_RXE,
    gone: false,
    mayCharge,
    refusal: () => undefined,
  };
}
