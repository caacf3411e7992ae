import { describe, expect, it } from 'vitest';
import { parseMountInfo } from './mounts.ts';

describe('/proc/self/mountinfo', () => {
  it('is read with any number of optional fields, and with escaped blanks', () => {
    const text = [
      '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw',
      '37 36 0:30 / /var/lib/kubelet/pods/a\\040b\\134c rw - tmpfs tmpfs rw,size=1k',
      '',
    ].join('\n');
    expect(parseMountInfo(text)).toEqual([
      { path: '/mnt2', type: 'ext3' },
      { path: '/var/lib/kubelet/pods/a b\\c', type: 'tmpfs' },
    ]);
  });
});
