// A virtual machine with virtual ConnectX-8 adapters as a Kubernetes node: containerd, a kubelet without an API server, and our agent on the
// stock drivers. What a pod is given there are real uverbs nodes.
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { bundle } from '../../scripts/bundle.ts';
import { sandboxImage, testImage, testImages } from '../cluster/images/test-images.ts';
import { ensureToolchain } from '../cluster/toolchain/toolchain.ts';
import { TrayMachine } from '../kernel/tray-machine.ts';
import { run } from '../rig/run.ts';
import { until } from '../rig/wait.ts';
import { agentConfig, agentSpec, cniConfig, containerdConfig, kubeletConfig, podManifest } from './configuration.ts';

/** Everything is emulated, and other work may be on the same two cores. */
const patienceMs = 240_000;
const askMs = 120_000;
const runcLibraries = ['/lib/x86_64-linux-gnu/libseccomp.so.2'];

export class GuestNode {
  readonly tray: TrayMachine;

  private constructor(tray: TrayMachine) {
    this.tray = tray;
  }

  /** Resolves when the kubelet follows the agent. */
  static async start(): Promise<GuestNode> {
    const toolchain = await ensureToolchain((line) => console.log(line));
    const tray = await TrayMachine.start('6.12');
    const node = new GuestNode(tray);
    try {
      await tray.run(({ drivers }) => drivers.load(), []);
      await tray.restore();
      await node.#bring(toolchain);
      await node.#startRuntime();
      await node.#inNode('kubelet --config /work/kubelet.json --hostname-override node >/work/kubelet.log 2>&1 &');
      await node.#appears('/var/lib/kubelet/device-plugins/kubelet.sock');
      await node.#inNode('node /work/agent/agent.mjs --config /work/agent.json >/work/agent.log 2>&1 &');
      await node.#logged('agent.log', 'the kubelet follows this resource');
      return node;
    } catch (error) {
      console.log(await node.logs());
      await tray.end();
      throw error;
    }
  }

  /** What the pod printed, once it has run to its end. */
  async runPod(name: string, paths: number, line: string): Promise<string> {
    const manifest = podManifest(name, testImage.reference, paths, line);
    await this.#write(`${name}.json`, JSON.stringify(manifest));
    await this.#inNode(`cp /work/${name}.json /run/manifests/${name}.json`);
    await this.#appears(`/work/${name}.out`);
    await this.#inNode(`rm /run/manifests/${name}.json`);
    return readFile(this.#file(`${name}.out`), 'utf8');
  }

  /** Resolves when that is what the agent said last of the path. */
  async judged(path: string, reason: string): Promise<void> {
    await until({ what: `${path} being ${reason}`, timeoutMs: patienceMs, intervalMs: 200 }, async () => {
      const lines = (await readFile(this.#file('agent.log'), 'utf8')).split('\n').filter((line) => line.endsWith('}'));
      const said = lines.map((line) => JSON.parse(line) as { path?: string; reason?: string });
      const last = said.findLast((line) => line.path === path)?.reason;
      return last === reason ? undefined : (last ?? 'nothing yet');
    });
  }

  /** The ends of all logs, for a person. */
  async logs(): Promise<string> {
    const names = ['start.log', 'kubelet.log', 'agent.log'];
    const tails = names.map(async (name) => {
      const text = await readFile(this.#file(name), 'utf8').catch(() => '');
      return `--- ${name}:\n${text.split('\n').slice(-30).join('\n')}`;
    });
    return (await Promise.all(tails)).join('\n');
  }

  async end(): Promise<void> {
    await this.tray.end();
  }

  #file(name: string): string {
    return join(this.tray.machine.work, name);
  }

  async #write(name: string, content: string): Promise<void> {
    await writeFile(this.#file(name), content);
  }

  /** Into the folder that host and guest share. */
  async #bring(toolchain: Awaited<ReturnType<typeof ensureToolchain>>): Promise<void> {
    for (const directory of ['bin', 'lib', 'cni']) await mkdir(this.#file(directory));
    const { stdout } = await run('sh', ['-c', 'command -v runc']);
    const programs = [
      join(toolchain.kubernetes, 'kubelet'),
      ...['containerd', 'containerd-shim-runc-v2', 'ctr'].map((name) => join(toolchain.containerd, name)),
      stdout.trim(),
    ];
    for (const program of programs) await copyFile(program, this.#file(`bin/${program.split('/').at(-1)}`));
    for (const library of runcLibraries)
      await cp(library, this.#file(`lib/${library.split('/').at(-1)}`), { dereference: true });
    for (const { archive } of testImages) await copyFile(join(toolchain.images, archive), this.#file(archive));
    const entries = { agent: 'device-plugin/src/main.ts' };
    await bundle({ entries, directory: this.#file('agent'), architectures: ['amd64'] });
    await copyFile(join(import.meta.dirname, 'start.sh'), this.#file('start.sh'));
    await this.#write('containerd.toml', containerdConfig(sandboxImage.reference));
    await this.#write('cni/10-none.conflist', JSON.stringify(cniConfig));
    await this.#write('kubelet.json', JSON.stringify(kubeletConfig));
    await this.#write('spec.json', JSON.stringify(agentSpec));
    await this.#write('agent.json', JSON.stringify(agentConfig));
  }

  async #startRuntime(): Promise<void> {
    await this.#inGuest('unshare -m sh /work/start.sh </dev/null >/work/start.log 2>&1 &');
    await this.#appears('/run/containerd/containerd.sock');
    const ctr =
      'ctr --address /run/containerd/containerd.sock --namespace k8s.io images import --local --snapshotter native';
    for (const { archive } of testImages) await this.#inNode(`${ctr} /work/${archive}`);
  }

  /** Of the node's own root file system, or of the shared folder. */
  async #appears(path: string): Promise<void> {
    await until({ what: `${path} in the guest`, timeoutMs: patienceMs, intervalMs: 1000 }, async () =>
      (await this.#inNode(`[ -e ${path} ] && echo there || echo missing`)).trim() === 'there' ? undefined : 'missing',
    );
  }

  async #logged(name: string, words: string): Promise<void> {
    await until({ what: `"${words}" in ${name}`, timeoutMs: patienceMs, intervalMs: 500 }, async () => {
      const text = await readFile(this.#file(name), 'utf8').catch(() => '');
      return text.includes(words) ? undefined : (text.split('\n').at(-2) ?? 'nothing');
    });
  }

  /** In the node's mount namespace, once there is one. */
  #inNode(line: string): Promise<string> {
    const words = `export PATH=/bin:/work/bin; ${line}`.replaceAll("'", `'\\''`);
    return this.#inGuest(
      `[ -e /work/node.pid ] || exit 0; nsenter -t "$(cat /work/node.pid)" -m /bin/sh -c '${words}'`,
    );
  }

  #inGuest(line: string): Promise<string> {
    return this.tray.machine.shell(line, { timeoutMs: askMs });
  }
}
