import { describe, expect, it } from 'vitest';
import { loadOrder, modulesAlias, modulesDep } from './modules.ts';

/** As in Linux 6.12, and a diamond besides. */
const kernel: Readonly<Record<string, readonly string[]>> = {
  ib_core: [],
  ib_uverbs: ['ib_core'],
  mlxfw: [],
  mlx5_core: ['mlxfw'],
  mlx5_ib: ['mlx5_core', 'ib_uverbs', 'ib_core'],
  ouroboros: ['tail'],
  tail: ['ouroboros'],
};

async function read(name: string, neededBy: string): Promise<{ depends: readonly string[]; aliases: string[] }> {
  const depends = kernel[name];
  if (depends === undefined) throw new Error(`${neededBy} needs ${name}`);
  return { depends, aliases: [`pci:${name}*`] };
}

describe('kernel modules', () => {
  it('are loaded after what they depend on, and nothing else is', async () => {
    expect([...(await loadOrder(['mlx5_ib'], read)).keys()]).toEqual([
      'mlxfw',
      'mlx5_core',
      'ib_core',
      'ib_uverbs',
      'mlx5_ib',
    ]);
  });

  it('are listed for modprobe, which loads each line from its end', async () => {
    const lines = modulesDep(await loadOrder(['mlx5_ib'], read)).split('\n');
    expect(lines).toEqual([
      'mlxfw.ko:',
      'mlx5_core.ko: mlxfw.ko',
      'ib_core.ko:',
      'ib_uverbs.ko: ib_core.ko',
      'mlx5_ib.ko: ib_uverbs.ko ib_core.ko mlx5_core.ko mlxfw.ko',
      '',
    ]);
  });

  it('are found by what the kernel asks for', async () => {
    expect(modulesAlias(await loadOrder(['mlxfw'], read))).toBe('alias pci:mlxfw* mlxfw\n');
  });

  it('that are missing are named, with who needs them', async () => {
    await expect(loadOrder(['nothing'], read)).rejects.toThrow('the rig needs nothing');
  });

  it('that need each other are refused', async () => {
    await expect(loadOrder(['ouroboros'], read)).rejects.toMatchObject({ code: 'MODULE_LOOP' });
  });
});
