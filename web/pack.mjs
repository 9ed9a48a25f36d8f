// Packs each file of the page once, so that the speaker need not.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = new URL('dist', import.meta.url).pathname;
const pack = (path, packed) => writeFileSync(packed, gzipSync(readFileSync(path), { level: 9 }));
for (const file of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!file.isFile()) continue;
  const path = join(file.parentPath ?? file.path, file.name);
  pack(path, `${path}.gz`);
}
// The licences packed only: fifteen times smaller, and they are asked for by browsers.
pack(new URL('../THIRD-PARTY.txt', import.meta.url).pathname, join(dist, 'licences.txt.gz'));
