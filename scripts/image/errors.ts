// Every way in which bundling and image building give up: a stable code and one sentence for each.

const sentences = {
  ARCHITECTURE_UNKNOWN: (f: { found: string; known: readonly string[] }) =>
    `architecture ${f.found} is not one we build for: expected ${f.known.join(' or ')}`,
  COMMAND_FAILED: (f: { command: string; outcome: string; output: string }) =>
    `${f.command} ${f.outcome}${f.output === '' ? '' : `:\n${f.output}`}`,
  PACKAGE_NOT_LOCKED: (f: { name: string }) =>
    `package-lock.json has no version and integrity for ${f.name}: run npm install and commit the lock file`,
  INTEGRITY_MISMATCH: (f: { name: string; expected: string; found: string }) =>
    `npm delivered another ${f.name} than package-lock.json names: expected ${f.expected}, got ${f.found}`,
  DEBIAN_SOURCES_MISSING: (f: { release: string }) =>
    `apt knows no Debian ${f.release} source on this machine: run "apt-get update" as root on Debian ${f.release}`,
  ELF_MALFORMED: (f: { file: string; problem: string }) => `${f.file} is not an ELF file we can read: ${f.problem}`,
  LIBRARY_NOT_FOUND: (f: { soname: string; neededBy: string }) =>
    `${f.neededBy} needs ${f.soname}, which no package of scripts/image/rootfs.ts holds: add the Debian package that has it`,
  ELF_MACHINE_WRONG: (f: { file: string; expected: number; found: number }) =>
    `${f.file} is for ELF machine ${f.found}, expected ${f.expected}`,
  PAGE_ALIGNMENT_TOO_SMALL: (f: { file: string; alignment: number; page: number }) =>
    `${f.file} is aligned for pages of ${f.alignment} bytes and would not load on a kernel with pages of ${f.page}`,
  DOCKERFILE_UNSUPPORTED: (f: { line: string; problem: string }) => `Dockerfile line "${f.line}": ${f.problem}`,
  EXECUTABLES_UNEXPECTED: (f: { image: string; found: readonly string[] }) =>
    `${f.image} may hold node and its dynamic linker as the only programs, it holds ${f.found.join(', ')}`,
  IMAGES_DIFFER: (f: { architecture: string; differing: readonly string[] }) =>
    `buildah and make image make different images for ${f.architecture}:\n${f.differing.join('\n')}`,
  START_FAILED: (f: { image: string; command: string; prints: string; found: string }) =>
    `${f.image}: ${f.command} was expected to print ${f.prints}, it printed:\n${f.found}`,
} as const;

type Sentences = typeof sentences;
export type BuildErrorCode = keyof Sentences;
type Fields<C extends BuildErrorCode> = Parameters<Sentences[C]>[0];

export class BuildError<C extends BuildErrorCode = BuildErrorCode> extends Error {
  readonly code: C;
  readonly fields: Fields<C>;

  constructor(code: C, fields: Fields<C>, options?: ErrorOptions) {
    super((sentences[code] as (f: Fields<C>) => string)(fields), options);
    this.name = 'BuildError';
    this.code = code;
    this.fields = fields;
  }
}

/** A failure we foresaw is its sentence; any other keeps its stack. */
export async function runToEnd(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`${error.code}: ${error.message}`);
    process.exitCode = 1;
  }
}
