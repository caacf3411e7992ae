// Writes src/kubelet/generated from proto/*.proto; with --check it only compares. protoc 3.20.3 is the last line with a built-in
// JavaScript generator and comes from Maven Central, cached outside of the checkout (docs: google-protobuf 3.21.4 runs its output).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { writeOrCheck } from './generated-files.ts';

const room = fileURLToPath(new URL('..', import.meta.url));
const sources = join(room, 'proto');
const generated = join(room, 'src/kubelet/generated');

/** The binary Maven Central calls `com.google.protobuf:protoc:3.20.3:exe:<classifier>`, by Node's process.arch. */
const PROTOC = {
  x64: {
    classifier: 'linux-x86_64',
    sha256: '7bf21b9e0a5390dbebe784a4aca1d64683af157b5a22847369737509e8e6cf30',
  },
  arm64: {
    classifier: 'linux-aarch_64',
    sha256: 'fcf2ef6a887420c91921812b6850f48db8b4ebc1f9a4dd96b69f041028e6ca8d',
  },
};

function protoc(): string {
  const known = PROTOC[process.arch as keyof typeof PROTOC] as (typeof PROTOC)['x64'] | undefined;
  if (known === undefined) throw new Error(`no protoc 3.20.3 for ${process.arch}; run this on x64 or arm64`);
  const cache =
    process.env['DATA_DIRECT_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'data-direct');
  const directory = join(cache, 'protoc-3.20.3');
  const binary = join(directory, `protoc-3.20.3-${known.classifier}.exe`);
  if (!existsSync(binary)) download(known.classifier, directory);
  const sha256 = createHash('sha256').update(readFileSync(binary)).digest('hex');
  if (sha256 !== known.sha256)
    throw new Error(`${binary} has SHA-256 ${sha256}, expected ${known.sha256}; delete it and run again`);
  chmodSync(binary, 0o755);
  return binary;
}

function download(classifier: string, directory: string): void {
  if (!onPath('mvn')) {
    if (process.getuid?.() !== 0) throw new Error('Maven is needed to fetch protoc: apt-get install maven');
    console.log('generate-protocol: installing Maven, which fetches protoc');
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'maven'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  mkdirSync(directory, { recursive: true });
  execFileSync(
    'mvn',
    [
      '-q',
      '-B',
      '-Dstyle.color=never',
      'org.apache.maven.plugins:maven-dependency-plugin:2.8:copy',
      `-Dartifact=com.google.protobuf:protoc:3.20.3:exe:${classifier}`,
      `-DoutputDirectory=${directory}`,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((directory) => existsSync(join(directory, program)));
}

/** File name → text. */
function generate(): Map<string, string> {
  const out = mkdtempSync(join(tmpdir(), 'protocol-'));
  try {
    const plugin = fileURLToPath(import.meta.resolve('grpc_tools_node_protoc_ts/bin/protoc-gen-ts'));
    const protos = readdirSync(sources).filter((name) => name.endsWith('.proto'));
    execFileSync(protoc(), [
      `--proto_path=${sources}`,
      `--js_out=import_style=commonjs,binary:${out}`,
      `--plugin=protoc-gen-ts=${plugin}`,
      `--ts_out=${out}`,
      ...protos,
    ]);
    return new Map(
      protos.flatMap((proto): [string, string][] => {
        const name = `${basename(proto, '.proto')}_pb`;
        return [
          [`${name}.cjs`, inStrictMode(readFileSync(join(out, `${name}.js`), 'utf8'))],
          [`${name}.d.cts`, readFileSync(join(out, `${name}.d.ts`), 'utf8')],
        ];
      }),
    );
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The generated code looks for the global object as scripts once did, and stops with "window is not defined" inside a bundled ES module. */
function inStrictMode(code: string): string {
  const search = /^var global = .*$/m;
  if (!search.test(code))
    throw new Error('the generated code no longer has the line "var global = …" that is replaced here');
  return code.replace(search, 'var global = globalThis;');
}

writeOrCheck(generated, generate(), 'device-plugin/proto');
