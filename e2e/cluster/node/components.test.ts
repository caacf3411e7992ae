import { describe, expect, it } from 'vitest';
import { componentNames, components, componentUsers, configFiles, kubeconfigOf } from './components.ts';
import { layout, ports } from './layout.ts';
import { certificateArguments, certificates, pkiFile } from './pki.ts';

const toolchain = {
  clients: '/t/c',
  images: '/t/i',
  'rdma-core': '/t/r',
  etcd: '/t/e',
  containerd: '/t/d',
  kubernetes: '/t/k',
};
const table = components(toolchain);

/** Everything that the rig writes before the first process starts. */
const written = new Set([
  ...['ca', 'service-account', ...certificates.map(({ name }) => name)].flatMap((name) => [
    pkiFile(name, 'crt'),
    pkiFile(name, 'key'),
  ]),
  pkiFile('service-account', 'pub'),
  ...Object.keys(configFiles()),
  ...componentUsers.map(kubeconfigOf),
]);

function filesNamedIn(text: string): string[] {
  return text.match(new RegExp(`(?:${layout.pki}|${layout.config})/[\\w./-]+\\.\\w+`, 'g')) ?? [];
}

function argumentsOf(name: string): string[] {
  return certificates.filter((certificate) => certificate.name === name).flatMap(certificateArguments);
}

describe('the node', () => {
  it('tells no process to read a file that the rig does not write', () => {
    const texts = [...componentNames.flatMap((name) => table[name].args), ...Object.values(configFiles())];
    const named = texts.flatMap(filesNamedIn);
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((file) => !written.has(file))).toEqual([]);
  });

  it('gives every process a program of the toolchain and a way to see that it works', () => {
    for (const name of componentNames) {
      expect(table[name].program).toMatch(new RegExp(`^/t/[a-z]/${name}$`));
      expect(Object.values(table[name].health)[0]).toMatch(/^(https?:|\/)/);
    }
  });

  it('uses no port twice', () => {
    expect(new Set(Object.values(ports)).size).toBe(Object.keys(ports).length);
  });

  it('keeps the paths of its unix sockets within 108 bytes', () => {
    expect(layout.containerdSocket.length).toBeLessThan(108);
    const socketDirectory = /socket_dir = '(.*)'/.exec(configFiles()[`${layout.config}/containerd.toml`] ?? '')?.[1];
    expect(socketDirectory?.length).toBeLessThan(38); // containerd's own limit (core/runtime/v2/socket_unix.go)
  });
});

describe('certificates', () => {
  it("lets the API server be called by the node's address and by the service's", () => {
    const names = argumentsOf('apiserver').find((argument) => argument.startsWith('subjectAltName='));
    expect(names).toContain('IP:198.18.95.2');
    expect(names).toContain('IP:10.96.0.1');
    expect(argumentsOf('apiserver')).toContain('extendedKeyUsage=serverAuth');
  });

  it('makes the kubelet a node to the Node authorizer', () => {
    expect(argumentsOf('kubelet')).toContain('/O=system:nodes/CN=system:node:data-direct-node');
    expect(argumentsOf('kubelet')).toContain('extendedKeyUsage=clientAuth');
  });
});
