import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseDockerfile } from './dockerfile.ts';

const ours = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');

describe('our Dockerfile', () => {
  const build = { TARGETARCH: 'arm64', VERSION: '1.2.3', REVISION: 'abc' };

  test('copies the two layers of the wanted architecture', () => {
    expect(parseDockerfile(ours, build).layers).toEqual([
      'build/image/rootfs-arm64/base',
      'build/image/rootfs-arm64/app',
    ]);
  });

  test('makes an image that is not run as root and shows the help of the CLI', () => {
    const { config } = parseDockerfile(ours, build);
    expect(config.User).toBe('65532:65532');
    expect(config.Entrypoint).toEqual(['/node', '/app/data-direct.mjs']);
    expect(config.Cmd).toEqual(['--help']);
  });

  test('names version, revision and licence in its labels', () => {
    expect(parseDockerfile(ours, build).config.Labels).toMatchObject({
      'org.opencontainers.image.version': '1.2.3',
      'org.opencontainers.image.revision': 'abc',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });
});

describe('a Dockerfile', () => {
  test('has defaults for build arguments that are not given', () => {
    const { config } = parseDockerfile('FROM scratch\nARG VERSION=dev\nLABEL v="${VERSION}"', {});
    expect(config.Labels).toEqual({ v: 'dev' });
  });

  test.each([
    ['RUN apt-get install bash', 'not understood'],
    ['FROM debian', 'only "FROM scratch"'],
    ['COPY --chown=1:1 a/ /', 'expected "COPY'],
    ['COPY a/ /b', 'expected "COPY'],
    ['COPY ${NAMELESS}/ /', 'build argument that has a value'],
    ['LABEL a=$B', 'build argument that has a value'],
    ['ENTRYPOINT /node', 'JSON array'],
    ['CMD [1]', 'JSON array'],
    ['LABEL a="1" b="2"', 'expected "LABEL'],
  ])('with the line %s is refused, for another builder would make another image of it', (line, problem) => {
    expect(() => parseDockerfile(`FROM scratch\n${line}`, {})).toThrow(problem);
    expect(() => parseDockerfile(`FROM scratch\n${line}`, {})).toThrow(line.replace(/ .*/, ''));
  });
});
