// A custom resource and a virtual server that serves it, for the tests of this room.
import { onTestFinished } from 'vitest';
import type { KubeApi } from './api.ts';
import type { Clock } from './clock.ts';
import { connect } from './connect.ts';
import type { KubeObject, Resource } from './object.ts';
import { type VirtualServer, type VirtualServerOptions, startVirtualServer } from './virtual/index.ts';

export interface Thing extends KubeObject {
  spec?: { size?: number; parts?: { name: string; weight?: number }[]; words?: string[] };
  status?: { ready?: boolean; observedGeneration?: number };
}

export const things: Resource<Thing> = {
  apiVersion: 'example.dev/v1',
  kind: 'Thing',
  plural: 'things',
  namespaced: false,
};

const servedThings = { ...things, status: true, listMapKeys: { 'spec.parts': ['name'] } };

export async function startServer(options: VirtualServerOptions = {}): Promise<VirtualServer> {
  const server = await startVirtualServer({ resources: [servedThings], ...options });
  onTestFinished(() => server.close());
  return server;
}

export function connectTo(server: VirtualServer, clock?: Clock): KubeApi {
  const api = connect(server.connection, { userAgent: 'test/1', ...(clock && { clock }) });
  onTestFinished(() => api.close());
  return api;
}

export function thing(name: string, size = 1): { metadata: { name: string }; spec: { size: number } } {
  return { metadata: { name }, spec: { size } };
}
