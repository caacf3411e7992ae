// What the agent writes into its log on SIGUSR2, asked for as docs/reference/metrics.md says.
import { agentPod, eventually, NAMESPACE, type World } from './world.ts';

export async function dumpedState(world: World): Promise<unknown> {
  const pod = (await agentPod(world)).metadata?.name ?? '';
  await world.cluster.kubectl([
    'exec',
    '--namespace',
    NAMESPACE,
    pod,
    '--',
    '/node',
    '-e',
    'process.kill(1, "SIGUSR2")',
  ]);
  return eventually('the state is in the log', async () => {
    const { stdout } = await world.cluster.kubectl(['logs', '--namespace', NAMESPACE, pod]);
    const line = stdout.split('\n').findLast((each) => each.includes('state, as asked by SIGUSR2'));
    return line === undefined ? undefined : (JSON.parse(line) as { state: unknown }).state;
  });
}
