// Probes and metrics, as kubelet and Prometheus ask for them.
import { expect, onTestFinished, test } from 'vitest';

import { serveHttp } from './http.ts';
import { Metrics } from './metrics.ts';
import { assignment, tray } from './test-support.ts';

let illness: string | undefined;
let unready: string | undefined;
const metrics = new Metrics('0.1.0');

async function ask(path: string, method = 'GET'): Promise<{ status: number; body: string }> {
  const server = await serveHttp({
    address: '127.0.0.1',
    port: 0,
    health: { illness: () => illness, unready: () => unready },
    registry: metrics.registry,
  });
  onTestFinished(() => server.close());
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return { status: answer.status, body: await answer.text() };
}

test('a well and ready agent says so', async () => {
  expect(await ask('/healthz')).toEqual({ status: 200, body: 'ok\n' });
  expect(await ask('/readyz?verbose')).toEqual({ status: 200, body: 'ok\n' });
});

test('an ill or waiting agent says why', async () => {
  illness = 'no round has ended for 200 s';
  unready = 'the kubelet does not follow path';
  expect(await ask('/healthz')).toEqual({ status: 503, body: 'no round has ended for 200 s\n' });
  expect(await ask('/readyz')).toEqual({ status: 503, body: 'the kubelet does not follow path\n' });
});

test.each(['/', '/metrics/', '/__proto__', '/constructor', '/../healthz/x'])('%s is not found', async (path) => {
  expect((await ask(path)).status).toBe(404);
});

test('only what is there now has a path’s state', async () => {
  metrics.round(assignment({ paths: tray({ 0: 'PortDown' }) }), 0.01);
  metrics.round(assignment({ paths: tray({ 1: 'PortDown' }).slice(0, 3) }), 0.01);
  const { body } = await ask('/metrics');
  const states = body.split('\n').filter((line) => line.startsWith('data_direct_path_state{'));
  expect(states).toEqual([
    'data_direct_path_state{path="0000:03:00.0",name="mlx5_0",reason="Paired",state="Ready"} 1',
    'data_direct_path_state{path="0001:03:00.0",name="mlx5_1",reason="PortDown",state="Unavailable"} 1',
    'data_direct_path_state{path="0002:03:00.0",name="mlx5_2",reason="Paired",state="Ready"} 1',
  ]);
  expect(body).toContain('data_direct_devices{resource="path",health="healthy"} 2');
  expect(body).toContain('data_direct_devices{resource="path",health="unhealthy"} 1');
});
