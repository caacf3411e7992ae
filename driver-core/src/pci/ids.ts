// Vendor, device and class ids that we tell apart. Names and ids as in drivers/net/ethernet/mellanox/mlx5/core/main.c and pci.ids.

export const MELLANOX = 0x15b3;
export const NVIDIA = 0x10de;

/** "CX8 Family [CX8 Data Direct Interface]", class 0x080100; the only entry in the PCI table of mlx5's data_direct.c. */
export const DMA_FUNCTION = 0x2100;

/** Drivers that pair a DMA function with NICs: mlx5_ib since Linux 6.12, renamed mlx5_dd when it moved out of mlx5_ib. */
export const DMA_DRIVERS: readonly string[] = ['mlx5_ib', 'mlx5_dd'];

/** Bridges of which rdma_topo knows what their ACS should be: ports of ConnectX and BlueField switches, root ports of Grace and Vera. */
const SWITCH_PORTS: ReadonlySet<number> = new Set([0x1979, 0x197b, 0x197c]);
const GRACE_ROOT_PORTS: ReadonlySet<number> = new Set([0x22b1, 0x22b2, 0x22b8]);
const VERA_ROOT_PORTS: ReadonlySet<number> = new Set([0x2f95, 0x2f96]);

interface Ids {
  readonly vendor: number;
  readonly device: number;
}

export function isSwitchPort({ vendor, device }: Ids): boolean {
  return vendor === MELLANOX && SWITCH_PORTS.has(device);
}

export function isGraceRootPort({ vendor, device }: Ids): boolean {
  return vendor === NVIDIA && GRACE_ROOT_PORTS.has(device);
}

export function isVeraRootPort({ vendor, device }: Ids): boolean {
  return vendor === NVIDIA && VERA_ROOT_PORTS.has(device);
}

interface Model {
  readonly name: string;
  /** False: known to have no DMA function, so the kernel need not be asked. */
  readonly dataDirect: boolean;
}

/** Physical functions by device id. One that is not here may be newer than this table, so the kernel is asked. */
const MODELS: Readonly<Record<number, Model>> = {
  0x1013: { name: 'ConnectX-4', dataDirect: false },
  0x1015: { name: 'ConnectX-4 Lx', dataDirect: false },
  0x1017: { name: 'ConnectX-5', dataDirect: false },
  0x1019: { name: 'ConnectX-5 Ex', dataDirect: false },
  0x101b: { name: 'ConnectX-6', dataDirect: false },
  0x101d: { name: 'ConnectX-6 Dx', dataDirect: false },
  0x101f: { name: 'ConnectX-6 Lx', dataDirect: false },
  0x1021: { name: 'ConnectX-7', dataDirect: false },
  0x1023: { name: 'ConnectX-8', dataDirect: true },
  0x1025: { name: 'ConnectX-9', dataDirect: true },
  0x1027: { name: 'ConnectX-10', dataDirect: true },
  0x2101: { name: 'ConnectX-10 NVLink-C2C', dataDirect: true },
  0xa2d2: { name: 'BlueField', dataDirect: false },
  0xa2d6: { name: 'BlueField-2', dataDirect: false },
  0xa2dc: { name: 'BlueField-3', dataDirect: false },
  0xa2df: { name: 'BlueField-4', dataDirect: true },
};

/** Virtual functions carry one id for several generations; their model is their PF's. */
const VIRTUAL_FUNCTIONS: ReadonlySet<number> = new Set([0x1014, 0x1016, 0x1018, 0x101a, 0x101c, 0x101e, 0xa2d3]);

export function isVirtualFunction(device: number): boolean {
  return VIRTUAL_FUNCTIONS.has(device);
}

export function modelName(device: number): string | undefined {
  return MODELS[device]?.name;
}

const WITHOUT_DATA_DIRECT: ReadonlySet<string | undefined> = new Set(
  Object.values(MODELS).flatMap(({ name, dataDirect }) => (dataDirect ? [] : [name])),
);

/** Whether a NIC of this model can have a DMA function, or might: an unknown model is given the benefit of the doubt. */
export function mayHaveDataDirect(model: string | undefined): boolean {
  return !WITHOUT_DATA_DIRECT.has(model);
}
