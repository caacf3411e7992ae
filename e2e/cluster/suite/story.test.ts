// The suite is one story on one cluster: install, use, break and mend, restart, upgrade, uninstall. Each chapter is a file; their order is here.
import { afterAll, afterEach, beforeAll } from 'vitest';

import { type Cluster, up } from '../cluster.ts';
import { buildImage, installRelease, removeNodeState } from '../release.ts';
import { agreeing } from './agreeing.ts';
import { allocating } from './allocating.ts';
import { choosing } from './choosing.ts';
import { failing } from './failing.ts';
import { fencing } from './fencing.ts';
import { hardening } from './hardening.ts';
import { installing } from './installing.ts';
import { measuring } from './measuring.ts';
import { printFigures } from './figures.ts';
import { judging } from './judging.ts';
import { outlasting } from './outlasting.ts';
import { deletePods } from './pods.ts';
import { refusing } from './refusing.ts';
import { restarting } from './restarting.ts';
import { uninstalling } from './uninstalling.ts';
import { upgrading } from './upgrading.ts';
import { NAMESPACE, worldOf, type World } from './world.ts';

let world: World;
const theWorld = (): World => world;

beforeAll(async () => {
  const building = buildImage();
  building.catch(() => undefined); // told when it is waited for
  await removeNodeState();
  const cluster = await up({ fresh: true, report: (line) => console.log(line) });
  world = worldOf(cluster);
  await cluster.importImage((await building).archive);
  await installRelease(cluster).catch(async (error: unknown) => {
    await tellWhy(cluster);
    throw error;
  });
}, 1_800_000);

afterEach(async ({ task }) => {
  // Whatever it left holds paths that the next one needs.
  if (task.result?.state === 'fail' && world !== undefined) await deletePods(world);
});

afterAll(async () => {
  printFigures();
  await world?.cluster.down();
}, 120_000);

installing(theWorld);
measuring(theWorld, 'fresh');
refusing(theWorld);
fencing(theWorld);
allocating(theWorld);
choosing(theWorld);
failing(theWorld);
judging(theWorld);
measuring(theWorld, 'after work');
restarting(theWorld);
outlasting(theWorld);
agreeing(theWorld); // needs no operator: the one that the node's reboot left behind may have to wait for a lease to run out
hardening(theWorld);
upgrading(theWorld);
uninstalling(theWorld);

/** A release that does not come up is judged by what its pods say. */
async function tellWhy(cluster: Cluster): Promise<void> {
  const asked = [
    ['describe', 'pods'],
    ['logs', 'daemonset/data-direct-agent', '--tail=20'],
    ['logs', 'deployment/data-direct-operator', '--tail=20'],
  ];
  for (const what of asked) {
    const { stdout } = await cluster
      .kubectl([...what, '--namespace', NAMESPACE])
      .catch((error: Error) => ({ stdout: error.message }));
    console.log(`$ kubectl ${what.join(' ')}\n${stdout}`);
  }
}
