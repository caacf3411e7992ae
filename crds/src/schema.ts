// The API contract as zod schemas: the one source of the TypeScript types (types.ts) and of the CRD manifests (manifests.ts).
// Run time code of the node agent imports the types only; zod itself stays out of it.
import { z } from 'zod';

import { CONTAINER_REASONS, PATH_REASONS } from './reasons.ts';

/** `domain:bus:device.function` as sysfs prints it. */
const pciAddress = z
  .string()
  .regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/)
  .max(16);
const nodeName = z.string().min(1).max(253);
const count = z.int().min(0).max(1_000_000);
const generation = z.int().min(0);
const time = z.iso.datetime();
const duration = z
  .string()
  .regex(/^([0-9]{1,5}(s|m|h))+$/)
  .max(20);

/** A rule that only the API server checks, in its Common Expression Language. What it reads must be bounded, or its cost is refused. */
function rule(expression: string, message: string) {
  return { 'x-kubernetes-validations': [{ rule: expression, message }] };
}

/** A list whose entries server-side apply tells apart by these keys together. */
function mapBy(...keys: string[]) {
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys };
}

// As metav1.LabelSelector, bounded. A bad one would otherwise come to light only when the operator selects nodes by it.
const labelKey = '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$';
const labelValue = z
  .string()
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/)
  .max(63);
const labelSelector = z.object({
  matchLabels: z
    .record(z.string(), labelValue)
    .optional()
    .describe('labels that a node must have, with these values')
    .meta({
      maxProperties: 32,
      ...rule(`self.all(key, key.size() <= 317 && key.matches('${labelKey}'))`, 'each key must be a label key'),
    }),
  matchExpressions: z
    .array(
      z
        .object({
          key: z.string().regex(new RegExp(labelKey)).max(317).describe('label key'),
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('how the label is compared with values'),
          values: z
            .array(labelValue)
            .max(256)
            .optional()
            .describe('one or more for In and NotIn, none for Exists and DoesNotExist'),
        })
        .meta(
          rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            'In and NotIn need values; Exists and DoesNotExist have none',
          ),
        ),
    )
    .max(32)
    .optional()
    .describe('further demands, all of which must hold'),
});

export const nicSelectorSchema = z
  .object({
    pciAddresses: z
      .array(pciAddress)
      .max(256)
      .optional()
      .describe('NIC functions by PCI address, such as 0000:03:00.0'),
    ibDevices: z
      .array(z.string().min(1).max(64))
      .max(256)
      .optional()
      .describe('NIC functions by RDMA device, such as mlx5_0'),
    linkLayer: z.enum(['InfiniBand', 'Ethernet']).optional().describe('NIC functions by the link layer of their port'),
    function: z.enum(['PF', 'VF']).optional().describe('physical or virtual functions only'),
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
        ...rule(
          "self.all(name, name.size() <= 256 && name.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",
          'each name must be a legal environment variable name of at most 256 characters',
        ),
      }),
  })
  .prefault({})
  .describe('which variables a container is given');

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
    .describe(
      'Data direct for a container that holds some of the node’s paths and whose GPUs are not known. Quote it: to YAML a bare On is a boolean.',
    ),
  sharing: z
    .object({ replicas: z.int().min(1).max(64).default(1).describe('how many containers may hold one path') })
    .prefault({})
    .describe('one path for several containers'),
  devices: z
    .object({
      rdmaCm: z.boolean().default(false).describe('also /dev/infiniband/rdma_cm'),
      umad: z.boolean().default(false).describe('also /dev/infiniband/umadN of each path'),
    })
    .prefault({})
    .describe('device nodes beside /dev/infiniband/uverbsN'),
  environment: environmentSchema,
  topologyHints: z
    .enum(['Never', 'DmaNumaNode'])
    .default('Never')
    .describe(
      'DmaNumaNode: tell the kubelet’s Topology Manager the NUMA node of the DMA function, which is the GPU’s.',
    ),
  verification: z
    .object({
      level: z
        .enum(['None', 'Probe', 'Registration'])
        .default('Probe')
        .describe('Probe asks the kernel without a buffer: it does not prove that a GPU buffer can be attached.'),
      interval: duration
        .default('10m')
        .describe('how often, such as 10m; at least 10s')
        .meta(rule("duration(self) >= duration('10s')", 'must be at least 10s')),
    })
    .prefault({})
    .describe('how the agent makes sure that a path works'),
};

/**
 * Also the class of the resource's CDI devices, and so a letter first: a runtime finds no device of another class. And two characters at
 * least: of one, the parser of container runtimes panics (pkg/parser/parser.go of tags.cncf.io/container-device-interface 1.1.0).
 */
const resourceName = z
  .string()
  .regex(/^[a-z][-a-z0-9]*[a-z0-9]$/)
  .max(40);

export const dataDirectPathSpecSchema = z.object({
  resourceName: resourceName.describe('advertised as datadirect.dev/<resourceName>'),
  nodeSelector: labelSelector
    .optional()
    .describe('which nodes; empty selects all. Not by datadirect.dev/<resourceName> of a policy: that is its result.'),
  nics: nicSelectorSchema.prefault({}),
  exclude: z
    .array(
      z.object({
        node: nodeName.describe('name of the node'),
        nic: z.string().min(1).max(64).describe('PCI address or RDMA device'),
        reason: z.string().max(256).describe('why, for the next person'),
      }),
    )
    .max(512)
    .optional()
    .describe('paths taken out of service'),
  ...handOut,
});

/** As metav1.Condition. */
const condition = z.object({
  type: z.string().min(1).max(316).describe('what is said about the object'),
  status: z.enum(['True', 'False', 'Unknown']).describe('whether it holds'),
  reason: z
    .string()
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .max(1024)
    .describe('why, in one CamelCase word'),
  message: z.string().max(32768).describe('why, in a sentence'),
  lastTransitionTime: time.describe('when status last changed'),
  observedGeneration: generation.optional().describe('the generation of spec which this condition speaks of'),
});

function conditions(types: string) {
  return z.array(condition).optional().describe(types).meta(mapBy('type'));
}

export const pathReasonSchema = z.enum(Object.keys(PATH_REASONS) as [keyof typeof PATH_REASONS]);

export const dataDirectPathStatusSchema = z.object({
  observedGeneration: generation.optional().describe('the generation of spec which this status follows'),
  conditions: conditions(
    'Accepted: the policy is valid and in conflict with no other. Ready: its reason is the phase. Progressing: nodes still follow.',
  ),
  nodes: z
    .object({
      selected: count.describe('nodes that nodeSelector selects'),
      ready: count.describe('nodes all of whose paths are Ready'),
      degraded: count.describe('nodes with a path that is not Ready'),
      notReporting: count.describe('nodes whose agent has not been heard of lately'),
    })
    .optional()
    .describe('the policy’s nodes, counted'),
  paths: z
    .object({
      total: count.describe('NIC functions that nics selects'),
      ready: count.describe('paths in state Ready'),
      degraded: count.describe('paths in state Degraded'),
      allocatable: count.describe('devices that pods can be given'),
    })
    .optional()
    .describe('the policy’s paths, counted over all nodes'),
  reasons: z
    .array(
      z.object({
        reason: pathReasonSchema.describe('one word; docs/troubleshooting.md has a section on each'),
        paths: count.describe('how many paths'),
        nodes: z.array(nodeName).max(10).describe('the first ten, by name'),
      }),
    )
    .optional()
    .describe('why paths are as they are')
    .meta(mapBy('reason')),
});

export const nodeResourceSchema = z.object({
  name: resourceName.describe('advertised as datadirect.dev/<name>'),
  policy: z.string().min(1).max(253).describe('the DataDirectPath that asked for it'),
  policyGeneration: generation.describe('the generation of that policy which this entry was made from'),
  nics: nicSelectorSchema.prefault({}),
  exclude: z
    .array(
      z.object({
        nic: z.string().min(1).max(64).describe('PCI address or RDMA device'),
        reason: z.string().max(256).describe('why, for the next person'),
      }),
    )
    .max(512)
    .optional()
    .describe('paths of this node taken out of service'),
  ...handOut,
});

export const dataDirectNodeSpecSchema = z.object({
  resources: z
    .array(nodeResourceSchema)
    .max(64)
    .default([])
    .describe('compiled by the operator, oldest policy first: an earlier entry wins a NIC that a later one selects too')
    .meta(mapBy('name')),
});

const nicStatus = z.object({
  function: z.enum(['PF', 'VF']).describe('physical or virtual function'),
  model: z.string().max(64).optional().describe('such as ConnectX-8; absent where it cannot be known'),
  linkLayer: z.enum(['InfiniBand', 'Ethernet']).optional().describe('of the port'),
  portState: z.string().max(32).optional().describe('as the kernel says it: ACTIVE, DOWN, INIT, ARMED'),
  defaultRoute: z.boolean().optional().describe('carries the node’s default route'),
});

export const nodePathSchema = z.object({
  id: pciAddress.describe('PCI address of the NIC function'),
  name: z.string().max(64).describe('RDMA device, or the PCI address where there is none'),
  resource: z.string().max(63).optional().describe('the resource that holds this path'),
  nic: nicStatus.describe('the NIC function'),
  dma: z
    .object({
      address: pciAddress.describe('PCI address'),
      driver: z.string().max(64).optional().describe('the driver it is bound to; absent where there is none'),
      vuid: z.string().max(256).optional().describe('what pairs it with its NIC functions'),
    })
    .optional()
    .describe('the DMA function (15b3:2100); absent where none is known'),
  gpus: z
    .array(
      z.object({
        address: pciAddress.describe('PCI address'),
        iommuGroup: z.string().max(16).optional().describe('must be that of the DMA function'),
      }),
    )
    .max(64)
    .optional()
    .describe('the GPUs beside the DMA function')
    .meta(mapBy('address')),
  complex: z
    .string()
    .max(256)
    .optional()
    .describe('the PCIe subtree that holds DMA function and GPU: VPD V3, else the address of its root port'),
  evidence: z
    .enum(['KernelIoctl', 'FirmwareVuid', 'VpdV3'])
    .optional()
    .describe('how the pairing is known, from the strongest to the weakest'),
  verified: z.enum(['None', 'Probe', 'Registration']).describe('which verification the path has passed'),
  state: z
    .enum(['Ready', 'Degraded', 'Unavailable'])
    .describe('Degraded: works, but not by Data Direct. Unavailable: the NIC itself is no use.'),
  reason: pathReasonSchema.describe('one word; docs/troubleshooting.md has a section on each'),
  message: z.string().max(1024).describe('the reason in a sentence, with addresses and numbers'),
  since: time.describe('when reason last changed'),
  portFalls: count.optional().describe('how often the port was seen to go down; absent for never'),
});

const containerFindingSchema = z.object({
  namespace: z.string().min(1).max(63).describe('of the pod'),
  pod: z.string().min(1).max(253).describe('name of the pod'),
  container: z.string().min(1).max(63).describe('name of the container'),
  reason: z
    .enum(Object.keys(CONTAINER_REASONS) as [keyof typeof CONTAINER_REASONS])
    .describe('one word; docs/troubleshooting.md has a section on each'),
  message: z.string().max(1024).describe('the reason in a sentence, with variables and their values'),
  since: time.describe('when it was first found'),
});

export const dataDirectNodeStatusSchema = z.object({
  observedGeneration: generation.optional().describe('the generation of spec which this status follows'),
  pathCounts: z
    .object({
      total: count.describe('paths that a resource holds'),
      ready: count.describe('those of them in state Ready'),
    })
    .optional()
    .describe('paths, counted: a printer column cannot count a list'),
  paths: z
    .array(nodePathSchema)
    .max(1024)
    .optional()
    .describe('every path of the node, whether or not a resource holds it')
    .meta(mapBy('id')),
  resources: z
    .array(
      z.object({
        name: resourceName.describe('advertised as datadirect.dev/<name>'),
        capacity: count.describe('devices told to the kubelet'),
        healthy: count.describe('those of them that pods can be given'),
        allocated: count.optional().describe('as pod-resources says; absent where it could not be asked'),
        hintsRefused: z
          .string()
          .max(1024)
          .optional()
          .describe('why the kubelet is told no NUMA nodes although the policy asks for topology hints'),
      }),
    )
    .max(64)
    .optional()
    .describe('what the kubelet was told')
    .meta(mapBy('name')),
  containers: z
    .array(containerFindingSchema)
    .max(128)
    .optional()
    .describe(
      'containers whose environment does not fit the paths they hold; the first 128 by namespace, pod and container',
    )
    .meta(mapBy('namespace', 'pod', 'container', 'reason')),
  kernel: z.string().max(128).optional().describe('the node’s kernel release'),
  agentVersion: z.string().max(64).optional().describe('of the agent that wrote this'),
  conditions: conditions(
    'Ready: its reason is that of the first path which is not as its policy asks. Registered: the kubelet follows every resource of spec.',
  ),
});
