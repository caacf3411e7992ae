// How charts/data-direct/templates/agent/daemonset.yaml starts the agent's Node.js; what is measured runs the same way.

export const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=48', '--expose-gc'];
export const ENVIRONMENT = { MALLOC_ARENA_MAX: '1' };
