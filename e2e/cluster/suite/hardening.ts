// Chapter: the agent with the least rights, on what it takes for real hardware; metrics for those alone who may have them; the node's
// rdma-core for images with an old one. All in one, because each change of an agent's rights or values is a rollout.
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { installRelease, nodeDirectories } from '../release.ts';
import { run } from '../../rig/run.ts';
import { type ChangedChart, changedChart } from './changed-chart.ts';
import { mainProcess, processStatus, rootMountOptions } from './container-process.ts';
import { dumpedState } from './dumped-state.ts';
import { type ForwardedPort, forwardPort } from './forwarded-port.ts';
import { POLICY } from './installing.ts';
import { LIBRARIES, OldImage } from './old-image.ts';
import { createPod, deletePods, given } from './pods.ts';
import { agentPod, changePolicy, comesTrue, expectAllocatable, NAMESPACE, nodeObject, type World } from './world.ts';
import { type WrittenTray, writeTray } from './written-tray.ts';

const TLS_SECRET = 'metrics-tls';
const METRICS_PORT = 9464;
/** Accounts: the first may read /metrics of whoever asks the API server about it, the second is just anybody. */
const SCRAPER = 'metrics-scraper';
const ANYBODY = 'metrics-anybody';

/** Of libmlx5: one that every version has, and the one that NCCL asks for data direct. */
const functions = ['mlx5dv_open_device', 'mlx5dv_get_data_direct_sysfs_path'];
const TOO_OLD = /exited with 100[^]*RuntimeLibraryTooOld: \S*libmlx5\.so\.1\.24\.44\.0 of rdma-core 44/;

export function hardening(world: () => World): void {
  const kubectl = async (...args: string[]): Promise<string> => (await world().cluster.kubectl(args)).stdout;
  const tokenOf = async (account: string): Promise<string> => (await kubectl('create', 'token', account)).trim();

  let old: OldImage;

  describe('an image with an old rdma-core', () => {
    test('loses data direct without a word; data-direct check --container names its library', async () => {
      old = await OldImage.start(world());
      expect(await old.loaded('libmlx5.so.1', ...functions)).toBe(
        'mlx5dv_open_device found\nmlx5dv_get_data_direct_sysfs_path missing\n',
      );
      await expect(old.checked()).rejects.toThrow(TOO_OLD);
    });
  });

  describe('SIGUSR2', () => {
    test('makes the agent write all it knows into its log', async () => {
      expect(await dumpedState(world())).toMatchObject(whole('Paired'));
    });
  });

  describe('the minimal profile, with metrics behind TLS and tokens, and the node’s rdma-core for images', () => {
    let tray: WrittenTray;
    let chart: ChangedChart;
    let directory: string;
    let certificate: string;

    beforeAll(async () => {
      tray = await writeTray('gb300-tray');
      // What ships, but for where the node's /sys is.
      const elsewhere = (text: string): string => text.replace(/path: \/sys$/m, `path: ${tray.sysfs}`);
      chart = await changedChart({ 'templates/agent/daemonset.yaml': elsewhere });
      directory = await mkdtemp(join(tmpdir(), 'data-direct-tls-'));
      certificate = await makeCertificate();
      const values = {
        'virtualHost.fixture': '',
        'agent.profile': 'minimal',
        'metrics.access': 'TokenReview',
        'metrics.tlsSecret': TLS_SECRET,
        'agent.rdmaCore.mount': true,
        'agent.rdmaCore.oldestGlibc': '2.38', // Debian 13's needs it
      };
      await installRelease(world().cluster, { chart: chart.directory, values });
    });

    afterAll(async () => {
      await installRelease(world().cluster);
      await expectAllocatable(world(), 4);
      await kubectl('delete', 'secret', TLS_SECRET, '--namespace', NAMESPACE);
      await tray.remove();
      await chart.remove();
      await rm(directory, { recursive: true });
    });

    afterEach(() => deletePods(world()));

    /** For localhost, which is where the port is forwarded to. */
    async function makeCertificate(): Promise<string> {
      const [key, crt] = [join(directory, 'tls.key'), join(directory, 'tls.crt')];
      const what = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2'];
      const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
      await run('openssl', ['req', ...how, ...what, '-keyout', key, '-out', crt]);
      await kubectl('create', 'secret', 'tls', TLS_SECRET, '--namespace', NAMESPACE, `--cert=${crt}`, `--key=${key}`);
      return readFile(crt, 'utf8');
    }

    test('a container with an old rdma-core that starts again has the node’s, finds it unasked, and cannot write to it', async () => {
      await old.startAgain();
      expect(await old.loaded('libmlx5.so.1', ...functions)).toBe(
        'mlx5dv_open_device found\nmlx5dv_get_data_direct_sysfs_path found\n',
      );
      const provider = `${LIBRARIES}/libibverbs/libmlx5-rdmav34.so`; // with libibverbs' private symbols of that number
      expect(await old.loaded(provider, 'mlx5dv_open_device')).toBe('mlx5dv_open_device found\n');
      const checked = await old.checked();
      expect(checked).toMatch(/^OK .*has MLX5_1\.25/);
      console.log(`$ data-direct check --container PID   # with agent.rdmaCore.mount\n${checked}`);
      for (const file of [`${LIBRARIES}/libmlx5.so.1`, '/etc/libibverbs.d/mlx5.driver'])
        await expect(old.append(file)).rejects.toThrow('Read-only file system');
    });

    test('the agent is root without a capability, behind seccomp, on a root file system that it cannot write', async () => {
      const pod = await agentPod(world());
      const pid = await mainProcess(pod);
      const none = '0000000000000000';
      expect(await processStatus(pid)).toMatchObject({
        Uid: expect.stringMatching(/^0\s+0\s+0\s+0$/) as string,
        CapInh: none,
        CapPrm: none,
        CapEff: none,
        CapBnd: none,
        CapAmb: none,
        NoNewPrivs: '1',
        Seccomp: '2', // SECCOMP_MODE_FILTER
      });
      expect(await rootMountOptions(pid)).toContain('ro');
      expect(pod.spec?.containers[0]?.securityContext?.privileged ?? false).toBe(false);
      expect(pod.spec?.containers[0]?.securityContext?.seccompProfile?.type).toBe('RuntimeDefault');
    });

    test('what it makes on the node is for root alone', async () => {
      const plugins = '/var/lib/kubelet/device-plugins';
      const sockets = (await readdir(plugins))
        .filter((name) => name.startsWith('datadirect'))
        .map((name) => join(plugins, name));
      expect(sockets).toHaveLength(1);
      for (const file of [...sockets, join(nodeDirectories[0], 'spec.json')]) {
        const { uid, mode } = await stat(file);
        expect([file, uid, mode & 0o777]).toEqual([file, 0, 0o600]);
      }
    });

    test('paths are paired by the VPD alone, because the device cgroup keeps the kernel from being asked', async () => {
      await comesTrue('every path says so', async () => {
        const { status } = await nodeObject(world());
        const held = status?.paths?.filter(({ resource }) => resource === 'path') ?? [];
        expect(held).toHaveLength(4);
        for (const path of held) {
          expect(path).toMatchObject({ reason: 'PairingUnverified', verified: 'None' });
          expect(path.evidence).not.toBe('KernelIoctl');
          expect(path.message).toContain('EPERM');
        }
      });
    });

    test('pods get their devices all the same, with data direct off', async () => {
      await expectAllocatable(world(), 4);
      await createPod(world(), 'unverified', 4);
      const { devices, env } = await given(world(), 'unverified');
      expect(devices).toEqual(['uverbs0', 'uverbs1', 'uverbs2', 'uverbs3']);
      expect(env).toMatchObject({ NCCL_IB_DATA_DIRECT: '0', UCX_IB_DIRECT_NIC: 'n', NVSHMEM_DISABLE_DATA_DIRECT: '1' });
    });

    test('SIGUSR2 is answered although nothing can be written but the log', async () => {
      expect(await dumpedState(world())).toMatchObject(whole('PairingUnverified'));
    });

    test('a Required policy hands none of them out', async () => {
      await changePolicy(world(), POLICY, { dataDirect: 'Required' });
      await expectAllocatable(world(), 0);
      await changePolicy(world(), POLICY, { dataDirect: 'Preferred' });
      await expectAllocatable(world(), 4);
    });

    describe('/metrics over TLS', () => {
      let forwarded: ForwardedPort;

      beforeAll(async () => {
        for (const name of [SCRAPER, ANYBODY]) await kubectl('create', 'serviceaccount', name);
        await kubectl('create', 'clusterrole', SCRAPER, '--verb=get', '--non-resource-url=/metrics');
        const who = [`--clusterrole=${SCRAPER}`, `--serviceaccount=default:${SCRAPER}`];
        await kubectl('create', 'clusterrolebinding', SCRAPER, ...who);
        forwarded = await forwardPort(world(), (await agentPod(world())).metadata?.name ?? '', NAMESPACE, METRICS_PORT);
      });
      afterAll(async () => {
        await forwarded.end();
        await kubectl('delete', 'clusterrolebinding,clusterrole', SCRAPER);
        await kubectl('delete', 'serviceaccount', SCRAPER, ANYBODY);
      });

      const cases: readonly (readonly [string, number, () => Promise<string | undefined>])[] = [
        ['without a token', 401, () => Promise.resolve(undefined)],
        ['with a token that no API server made', 403, () => Promise.resolve('made-up')],
        ['with a token whose bearer has no right to it', 403, () => tokenOf(ANYBODY)],
        ['with a token whose bearer has', 200, () => tokenOf(SCRAPER)],
      ];

      test.each(cases)('%s: %i', async (_what, expected, token) => {
        const { status, body } = await ask('/metrics', await token());
        expect(status).toBe(expected);
        expect(body.includes('data_direct_paths')).toBe(expected === 200);
      });

      test('the kubelet needs no token to probe', async () => {
        expect(await ask('/readyz', undefined)).toEqual({ status: 200, body: 'ok\n' });
      });

      function ask(path: string, token: string | undefined): Promise<{ status: number | undefined; body: string }> {
        const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
        const options = {
          host: 'localhost',
          family: 4,
          port: forwarded.port,
          path,
          headers,
          ca: certificate,
          agent: false,
        };
        return new Promise((resolve, reject) => {
          const request = get({ ...options, timeout: 20_000 }, (response) => {
            let body = '';
            response.setEncoding('utf8');
            response.on('data', (chunk: string) => (body += chunk));
            response.on('end', () => resolve({ status: response.statusCode, body }));
            response.on('error', reject);
          });
          request.on('timeout', () => request.destroy(new Error(`${path} was not answered within 20 s`)));
          request.on('error', reject);
        });
      }
    });
  });

  describe('without the node’s rdma-core again', () => {
    test('a container has what its image has, and the node keeps nothing of it', async () => {
      old = await OldImage.start(world());
      await expect(old.checked()).rejects.toThrow(TOO_OLD);
      expect(existsSync(join(nodeDirectories[0], 'mlx5.driver'))).toBe(false);
      await deletePods(world());
    });
  });
}

/** Of a state that the agent was asked for: the four paths of the policy, all with this reason. */
function whole(reason: string): object {
  const ids = ['0000:03:00.0', '0002:03:00.0', '0010:03:00.0', '0012:03:00.0'];
  return {
    resources: [{ name: 'path', isRegistered: true, devices: ids.map((id) => ({ id })) }],
    paths: expect.arrayContaining(ids.map((id) => expect.objectContaining({ id, reason }) as unknown)) as unknown,
  };
}
