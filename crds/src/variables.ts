// The variables that a container is given, by the switch of `spec.environment` that leaves them out. The agent sets them, so no policy
// may set them in `extra` while the switch is on. Which values they get is the agent's.

export const VARIABLES = {
  nccl: ['NCCL_IB_DATA_DIRECT'],
  ucx: ['UCX_IB_DIRECT_NIC'],
  nvshmem: ['NVSHMEM_DISABLE_DATA_DIRECT'],
  scopeHca: ['NCCL_IB_HCA', 'UCX_NET_DEVICES', 'NVSHMEM_HCA_LIST'],
} as const;

/** No switch leaves these out: they tell the container which paths it has, as SR-IOV users know them. */
export const PATHS_VARIABLE_PREFIX = 'PCIDEVICE_DATADIRECT_DEV_';
