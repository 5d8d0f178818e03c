// Writes the version of jupyter_codesave/_version.py into the built package.json: one source.
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('../../jupyter_codesave/', import.meta.url);
const found = /__version__\s*=\s*["']([^"']+)["']/.exec(
  readFileSync(new URL('_version.py', root), 'utf8')
);
if (!found) {
  throw new Error('jupyter_codesave/_version.py has no line __version__ = "…": add one');
}
const built = new URL('labextension/package.json', root);
const manifest = JSON.parse(readFileSync(built, 'utf8'));
manifest.version = found[1];
writeFileSync(built, JSON.stringify(manifest, null, 2) + '\n');
