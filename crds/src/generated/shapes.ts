// Generated from crds/src/schema.ts by `make generate`; do not edit.
import type { Schema } from '../shape.ts';

export const nodeSpecShape: Schema = {
  type: 'object',
  properties: {
    resources: {
      default: [],
      maxItems: 64,
      type: 'array',
      items: {
        type: 'object',
        properties: {
          name: {
            type: 'string',
            maxLength: 40,
            pattern: '^[a-z][-a-z0-9]*[a-z0-9]$',
          },
          policy: {
            type: 'string',
            minLength: 1,
            maxLength: 253,
          },
          policyGeneration: {
            type: 'integer',
            minimum: 0,
            maximum: 9007199254740991,
          },
          nics: {
            default: {},
            type: 'object',
            properties: {
              pciAddresses: {
                maxItems: 256,
                type: 'array',
                items: {
                  type: 'string',
                  maxLength: 16,
                  pattern: '^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$',
                },
              },
              ibDevices: {
                maxItems: 256,
                type: 'array',
                items: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 64,
                },
              },
              linkLayer: {
                type: 'string',
                enum: ['InfiniBand', 'Ethernet'],
              },
              function: {
                type: 'string',
                enum: ['PF', 'VF'],
              },
            },
          },
          exclude: {
            maxItems: 512,
            type: 'array',
            items: {
              type: 'object',
              properties: {
                nic: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 64,
                },
                reason: {
                  type: 'string',
                  maxLength: 256,
                },
              },
              required: ['nic', 'reason'],
            },
          },
          dataDirect: {
            default: 'Preferred',
            type: 'string',
            enum: ['Required', 'Preferred', 'Disabled'],
          },
          whenGpuUnknown: {
            default: 'Off',
            type: 'string',
            enum: ['Off', 'On'],
          },
          sharing: {
            default: {},
            type: 'object',
            properties: {
              replicas: {
                default: 1,
                type: 'integer',
                minimum: 1,
                maximum: 64,
              },
            },
          },
          devices: {
            default: {},
            type: 'object',
            properties: {
              rdmaCm: {
                default: false,
                type: 'boolean',
              },
              umad: {
                default: false,
                type: 'boolean',
              },
            },
          },
          environment: {
            default: {},
            type: 'object',
            properties: {
              nccl: {
                default: true,
                type: 'boolean',
              },
              ucx: {
                default: true,
                type: 'boolean',
              },
              nvshmem: {
                default: true,
                type: 'boolean',
              },
              scopeHca: {
                default: true,
                type: 'boolean',
              },
              extra: {
                maxProperties: 64,
                type: 'object',
                additionalProperties: {
                  type: 'string',
                  maxLength: 4096,
                },
              },
            },
          },
          topologyHints: {
            default: 'Never',
            type: 'string',
            enum: ['Never', 'DmaNumaNode'],
          },
          verification: {
            default: {},
            type: 'object',
            properties: {
              level: {
                default: 'Probe',
                type: 'string',
                enum: ['None', 'Probe', 'Registration'],
              },
              interval: {
                default: '10m',
                type: 'string',
                maxLength: 20,
                pattern: '^([0-9]{1,5}(s|m|h))+$',
              },
            },
          },
        },
        required: ['name', 'policy', 'policyGeneration'],
      },
    },
  },
};

export const pathSpecShape: Schema = {
  type: 'object',
  properties: {
    resourceName: {
      type: 'string',
      maxLength: 40,
      pattern: '^[a-z][-a-z0-9]*[a-z0-9]$',
    },
    nodeSelector: {
      type: 'object',
      properties: {
        matchLabels: {
          maxProperties: 32,
          type: 'object',
          additionalProperties: {
            type: 'string',
            maxLength: 63,
            pattern: '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$',
          },
        },
        matchExpressions: {
          maxItems: 32,
          type: 'array',
          items: {
            type: 'object',
            properties: {
              key: {
                type: 'string',
                maxLength: 317,
                pattern: '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$',
              },
              operator: {
                type: 'string',
                enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'],
              },
              values: {
                maxItems: 256,
                type: 'array',
                items: {
                  type: 'string',
                  maxLength: 63,
                  pattern: '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$',
                },
              },
            },
            required: ['key', 'operator'],
          },
        },
      },
    },
    nics: {
      default: {},
      type: 'object',
      properties: {
        pciAddresses: {
          maxItems: 256,
          type: 'array',
          items: {
            type: 'string',
            maxLength: 16,
            pattern: '^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$',
          },
        },
        ibDevices: {
          maxItems: 256,
          type: 'array',
          items: {
            type: 'string',
            minLength: 1,
            maxLength: 64,
          },
        },
        linkLayer: {
          type: 'string',
          enum: ['InfiniBand', 'Ethernet'],
        },
        function: {
          type: 'string',
          enum: ['PF', 'VF'],
        },
      },
    },
    exclude: {
      maxItems: 512,
      type: 'array',
      items: {
        type: 'object',
        properties: {
          node: {
            type: 'string',
            minLength: 1,
            maxLength: 253,
          },
          nic: {
            type: 'string',
            minLength: 1,
            maxLength: 64,
          },
          reason: {
            type: 'string',
            maxLength: 256,
          },
        },
        required: ['node', 'nic', 'reason'],
      },
    },
    dataDirect: {
      default: 'Preferred',
      type: 'string',
      enum: ['Required', 'Preferred', 'Disabled'],
    },
    whenGpuUnknown: {
      default: 'Off',
      type: 'string',
      enum: ['Off', 'On'],
    },
    sharing: {
      default: {},
      type: 'object',
      properties: {
        replicas: {
          default: 1,
          type: 'integer',
          minimum: 1,
          maximum: 64,
        },
      },
    },
    devices: {
      default: {},
      type: 'object',
      properties: {
        rdmaCm: {
          default: false,
          type: 'boolean',
        },
        umad: {
          default: false,
          type: 'boolean',
        },
      },
    },
    environment: {
      default: {},
      type: 'object',
      properties: {
        nccl: {
          default: true,
          type: 'boolean',
        },
        ucx: {
          default: true,
          type: 'boolean',
        },
        nvshmem: {
          default: true,
          type: 'boolean',
        },
        scopeHca: {
          default: true,
          type: 'boolean',
        },
        extra: {
          maxProperties: 64,
          type: 'object',
          additionalProperties: {
            type: 'string',
            maxLength: 4096,
          },
        },
      },
    },
    topologyHints: {
      default: 'Never',
      type: 'string',
      enum: ['Never', 'DmaNumaNode'],
    },
    verification: {
      default: {},
      type: 'object',
      properties: {
        level: {
          default: 'Probe',
          type: 'string',
          enum: ['None', 'Probe', 'Registration'],
        },
        interval: {
          default: '10m',
          type: 'string',
          maxLength: 20,
          pattern: '^([0-9]{1,5}(s|m|h))+$',
        },
      },
    },
  },
  required: ['resourceName'],
};
