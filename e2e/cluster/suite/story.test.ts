// The suite is one story on one cluster: install, use, break and mend, restart, upgrade, uninstall. Each chapter is a file; their order is here.
import { afterAll, beforeAll } from 'vitest';

import { up } from '../cluster.ts';
import { buildImage, installRelease, removeNodeState } from '../release.ts';
import { allocating } from './allocating.ts';
import { choosing } from './choosing.ts';
import { failing } from './failing.ts';
import { fencing } from './fencing.ts';
import { installing } from './installing.ts';
import { measuring } from './measuring.ts';
import { printFigures } from './figures.ts';
import { judging } from './judging.ts';
import { refusing } from './refusing.ts';
import { restarting } from './restarting.ts';
import { uninstalling } from './uninstalling.ts';
import { upgrading } from './upgrading.ts';
import { worldOf, type World } from './world.ts';

let world: World;
const theWorld = (): World => world;

beforeAll(async () => {
  const image = await buildImage();
  await removeNodeState();
  const cluster = await up({ fresh: true });
  await cluster.importImage(image.archive);
  world = worldOf(cluster);
  await installRelease(cluster);
}, 1_800_000);

afterAll(async () => {
  printFigures();
  await world?.cluster.down();
}, 120_000);

installing(theWorld);
refusing(theWorld);
fencing(theWorld);
allocating(theWorld);
choosing(theWorld);
failing(theWorld);
judging(theWorld);
measuring(theWorld);
restarting(theWorld);
upgrading(theWorld);
uninstalling(theWorld);
