// What Prometheus reads after a round.
import { expect, test } from 'vitest';

import { Metrics } from './metrics.ts';
import { assignment, resource, tray } from './test-support.ts';

const metrics = new Metrics('0.1.0');

test('of very many paths each is counted, and those that a resource holds come first among the single ones', async () => {
  const unheld = Array.from({ length: 500 }, (_, index) => {
    const [path] = tray();
    if (!path) throw new Error('the tray is empty');
    const { nic } = path;
    const id = `0000:00:00.${String(index).padStart(4, '0')}`;
    return { ...path, id, name: id, nic: { ...nic, function: 'VF' as const, model: 'ConnectX-8' } };
  });
  metrics.round(assignment({ paths: [...unheld, ...tray()] }), 0.01);
  const body = await metrics.registry.metrics();
  expect(body).toContain('data_direct_paths{state="Ready",reason="Paired"} 504');
  expect(body).toContain('data_direct_paths_verified{level="Probe"} 504');
  const single = body.split('\n').filter((line) => line.startsWith('data_direct_path_state{'));
  expect(single).toHaveLength(128);
  expect(single[0]).toContain('0000:03:00.0');
});

test('a resource that is withdrawn takes its series along, whatever was counted of it', async () => {
  const counted = new Metrics('0.1.0');
  for (let index = 0; index < 200; index += 1) {
    const name = `path-${index}`;
    counted.round(assignment({ resources: [resource({ name })] }), 0.01);
    counted.registration(name, 'registered');
    counted.registration(name, 'failed');
    counted.allocation(name, 'ok', 0.001);
    counted.verification(name, 'refused');
  }
  const body = await counted.registry.metrics();
  const named = new Set([...body.matchAll(/resource="([^"]+)"/g)].map(([, name]) => name));
  expect([...named]).toEqual(['path-199']);
});

test('only what is there now has a path’s state', async () => {
  metrics.round(assignment({ paths: tray({ 0: 'PortDown' }) }), 0.01);
  metrics.round(assignment({ paths: tray({ 1: 'PortDown' }).slice(0, 3) }), 0.01);
  const body = await metrics.registry.metrics();
  const states = body.split('\n').filter((line) => line.startsWith('data_direct_path_state{'));
  expect(states).toEqual([
    'data_direct_path_state{path="0000:03:00.0",name="mlx5_0",reason="Paired",state="Ready"} 1',
    'data_direct_path_state{path="0001:03:00.0",name="mlx5_1",reason="PortDown",state="Unavailable"} 1',
    'data_direct_path_state{path="0002:03:00.0",name="mlx5_2",reason="Paired",state="Ready"} 1',
  ]);
  expect(body).toContain('data_direct_devices{resource="path",health="healthy"} 2');
  expect(body).toContain('data_direct_devices{resource="path",health="unhealthy"} 1');
});
