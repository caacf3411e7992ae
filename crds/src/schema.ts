// The API contract as zod schemas: the one source of the TypeScript types (types.ts) and of the CRD manifests (manifests.ts).
// Run time code of the node agent imports the types only; zod itself stays out of it.
import { z } from 'zod';

import { PATH_REASONS } from './reasons.ts';

/** `domain:bus:device.function` as sysfs prints it. */
const pciAddress = z
  .string()
  .regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/)
  .max(16);
const nodeName = z.string().min(1).max(253);
const count = z.int().min(0).max(1_000_000);
const time = z.iso.datetime().describe('RFC 3339 time');
const duration = z
  .string()
  .regex(/^([0-9]{1,5}(s|m|h))+$/)
  .max(20);

const labelSelector = z.object({
  matchLabels: z.record(z.string(), z.string()).optional(),
  matchExpressions: z
    .array(
      z.object({
        key: z.string().min(1),
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

export const nicSelectorSchema = z
  .object({
    pciAddresses: z.array(pciAddress).max(256).optional().describe('NIC functions by PCI address'),
    ibDevices: z
      .array(z.string().min(1).max(64))
      .max(256)
      .optional()
      .describe('NIC functions by RDMA device, such as mlx5_0'),
    linkLayer: z.enum(['InfiniBand', 'Ethernet']).optional(),
    function: z.enum(['PF', 'VF']).optional(),
  })
  .describe(
    'Which NIC functions belong to the resource; all fields given must match. Empty selects the PFs of ConnectX-8 and later. ' +
      'BlueField, ConnectX-7 and VFs must be named, and the function that carries the node’s default route only by PCI address.',
  );

const environmentSchema = z
  .object({
    nccl: z.boolean().default(true).describe('set NCCL_IB_DATA_DIRECT'),
    ucx: z.boolean().default(true).describe('set UCX_IB_DIRECT_NIC'),
    nvshmem: z.boolean().default(true).describe('set NVSHMEM_DISABLE_DATA_DIRECT'),
    scopeHca: z.boolean().default(true).describe('name only the allocated RDMA devices to NCCL, UCX and NVSHMEM'),
    extra: z
      .record(z.string(), z.string().max(4096))
      .optional()
      .describe('further variables, set as given')
      .meta({
        maxProperties: 64,
        'x-kubernetes-validations': [
          {
            rule: 'self.all(name, name.matches("^[A-Za-z_][A-Za-z0-9_]*$"))',
            message: 'each name must be a legal environment variable name',
          },
        ],
      }),
  })
  .prefault({});

/** What a policy and a compiled node resource have in common: how paths are handed out. */
const handOut = {
  dataDirect: z
    .enum(['Required', 'Preferred', 'Disabled'])
    .default('Preferred')
    .describe(
      'Required: only Ready paths are handed out. Preferred: others too, with data direct off. Disabled: always off.',
    ),
  whenGpuUnknown: z
    .enum(['Off', 'On'])
    .default('Off')
    .describe('Data direct for a container that holds some of the node’s paths and whose GPUs are not known.'),
  sharing: z
    .object({ replicas: z.int().min(1).max(64).default(1).describe('how many containers may hold one path') })
    .prefault({}),
  devices: z
    .object({
      rdmaCm: z.boolean().default(false).describe('also /dev/infiniband/rdma_cm'),
      umad: z.boolean().default(false).describe('also /dev/infiniband/umadN of each path'),
    })
    .prefault({}),
  environment: environmentSchema,
  topologyHints: z.enum(['Never', 'DmaNumaNode']).default('Never'),
  verification: z
    .object({
      level: z
        .enum(['None', 'Probe', 'Registration'])
        .default('Probe')
        .describe('Probe asks the kernel without a buffer: it does not prove that a GPU buffer can be attached.'),
      interval: duration.default('10m'),
    })
    .prefault({}),
};

const resourceName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
  .max(40);

export const dataDirectPathSpecSchema = z.object({
  resourceName: resourceName.describe('advertised as datadirect.dev/<resourceName>'),
  nodeSelector: labelSelector.optional().describe('which nodes; empty selects all'),
  nics: nicSelectorSchema.prefault({}),
  exclude: z
    .array(
      z.object({
        node: nodeName,
        nic: z.string().min(1).max(64).describe('PCI address or RDMA device'),
        reason: z.string().max(256).describe('why, for the next person'),
      }),
    )
    .max(512)
    .optional()
    .describe('paths taken out of service'),
  ...handOut,
});

const condition = z.object({
  type: z.string().min(1).max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32768),
  lastTransitionTime: time,
  observedGeneration: z.int().min(0).optional(),
});

const conditions = z
  .array(condition)
  .optional()
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

export const pathReasonSchema = z.enum(Object.keys(PATH_REASONS) as [keyof typeof PATH_REASONS]);

export const dataDirectPathStatusSchema = z.object({
  observedGeneration: z.int().min(0).optional(),
  conditions,
  nodes: z.object({ selected: count, ready: count, degraded: count, notReporting: count }).optional(),
  paths: z.object({ total: count, ready: count, degraded: count, allocatable: count }).optional(),
  reasons: z
    .array(
      z.object({
        reason: pathReasonSchema,
        paths: count,
        nodes: z.array(nodeName).max(10).describe('the first ten, by name'),
      }),
    )
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['reason'] }),
});

export const nodeResourceSchema = z.object({
  name: resourceName,
  policy: z.string().min(1).max(253).describe('the DataDirectPath that asked for it'),
  policyGeneration: z.int().min(0).describe('the generation of that policy which this entry was made from'),
  nics: nicSelectorSchema.prefault({}),
  exclude: z
    .array(z.object({ nic: z.string().min(1).max(64), reason: z.string().max(256) }))
    .max(512)
    .optional(),
  ...handOut,
});

export const dataDirectNodeSpecSchema = z.object({
  resources: z
    .array(nodeResourceSchema)
    .max(64)
    .default([])
    .describe('compiled by the operator, oldest policy first: an earlier entry wins a NIC that a later one selects too')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
});

const nicStatus = z.object({
  function: z.enum(['PF', 'VF']),
  model: z.string().max(64).optional().describe('such as ConnectX-8; absent where it cannot be known'),
  linkLayer: z.enum(['InfiniBand', 'Ethernet']).optional(),
  portState: z.string().max(32).optional().describe('as the kernel says it: ACTIVE, DOWN, INIT, ARMED'),
  defaultRoute: z.boolean().optional().describe('carries the node’s default route'),
});

export const nodePathSchema = z.object({
  id: pciAddress.describe('PCI address of the NIC function'),
  name: z.string().max(64).describe('RDMA device, or the PCI address where there is none'),
  resource: z.string().max(63).optional().describe('the resource that holds this path'),
  nic: nicStatus,
  dma: z
    .object({
      address: pciAddress,
      driver: z.string().max(64).optional(),
      vuid: z.string().max(256).optional(),
    })
    .optional(),
  gpus: z
    .array(z.object({ address: pciAddress, iommuGroup: z.string().max(16).optional() }))
    .max(64)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['address'] }),
  complex: z.string().max(256).optional(),
  evidence: z.enum(['KernelIoctl', 'FirmwareVuid', 'VpdV3']).optional(),
  verified: z.enum(['None', 'Probe', 'Registration']),
  state: z.enum(['Ready', 'Degraded', 'Unavailable']),
  reason: pathReasonSchema,
  message: z.string().max(1024),
  since: time.describe('when reason last changed'),
});

export const dataDirectNodeStatusSchema = z.object({
  observedGeneration: z.int().min(0).optional().describe('the generation of spec which this status follows'),
  paths: z
    .array(nodePathSchema)
    .max(1024)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['id'] }),
  resources: z
    .array(
      z.object({
        name: resourceName,
        capacity: count.describe('devices told to the kubelet'),
        healthy: count,
        allocated: count.optional().describe('as pod-resources says; absent where it could not be asked'),
      }),
    )
    .max(64)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
  kernel: z.string().max(128).optional(),
  agentVersion: z.string().max(64).optional(),
  conditions,
});
