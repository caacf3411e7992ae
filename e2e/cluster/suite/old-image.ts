// A pod whose image has an old rdma-core: what its own loader finds in it, and what `data-direct check --container` says of it on the node.
import { join } from 'node:path';

import { run } from '../../rig/run.ts';
import { oldImage } from '../toolchain/rdma-core.ts';
import { mainProcess } from './container-process.ts';
import { createPod, ready, readPod } from './pods.ts';
import { eventually, type World } from './world.ts';

const NAME = 'old-image';
export const LIBRARIES = '/usr/lib/x86_64-linux-gnu';
const program = join(import.meta.dirname, '../../../build/bundle/data-direct.mjs');

/** Loads a library by its name as NCCL does, and says which of these functions it has. */
const LOAD = `
  DynaLoader::boot_DynaLoader('DynaLoader');
  my ($file, @names) = @ARGV;
  my $library = DynaLoader::dl_load_file($file) or die DynaLoader::dl_error(), "\\n";
  print "$_ ", (DynaLoader::dl_find_symbol($library, $_, 1) ? 'found' : 'missing'), "\\n" for @names;`;
const APPEND = `open(my $file, '>>', $ARGV[0]) or die "$!\\n";`;

export class OldImage {
  readonly #world: World;

  private constructor(world: World) {
    this.#world = world;
  }

  /** With one path. */
  static async start(world: World): Promise<OldImage> {
    await createPod(world, NAME, 1, { image: oldImage.reference });
    await ready(world, NAME);
    return new OldImage(world);
  }

  /** As the kubelet does with a container whose process has ended. */
  async startAgain(): Promise<void> {
    process.kill(await this.#process(), 'SIGKILL');
    await eventually(`the container of ${NAME} runs again`, async () => {
      const status = (await readPod(this.#world, NAME)).status?.containerStatuses?.[0];
      return (status?.ready && status.restartCount > 0) || undefined;
    });
  }

  /** Lines such as `mlx5dv_open_device found`. */
  loaded(library: string, ...names: readonly string[]): Promise<string> {
    return this.#perl(LOAD, library, ...names);
  }

  append(file: string): Promise<string> {
    return this.#perl(APPEND, file);
  }

  /** What the program prints; throws where it found something wrong. */
  async checked(): Promise<string> {
    const pid = await this.#process();
    return (await run(process.execPath, [program, 'check', '--container', String(pid)])).stdout;
  }

  async #process(): Promise<number> {
    return mainProcess(await readPod(this.#world, NAME));
  }

  async #perl(script: string, ...args: readonly string[]): Promise<string> {
    const { stdout } = await this.#world.cluster.kubectl(['exec', NAME, '--', 'perl', '-e', script, ...args]);
    return stdout;
  }
}
