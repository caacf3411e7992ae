import { expect, test } from 'vitest';
import { lockedPackage } from './npm.ts';

test('a package that package-lock.json does not name is refused before anything is downloaded', async () => {
  await expect(lockedPackage('data-direct-no-such-package')).rejects.toThrow(
    'package-lock.json has no version and integrity for data-direct-no-such-package',
  );
});
