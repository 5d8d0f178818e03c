// Bundles every src/**/*.test.ts and runs it with node's own test runner.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const tests = readdirSync('src', { recursive: true })
  .filter(name => name.endsWith('.test.ts'))
  .map(name => join('src', name));
if (tests.length === 0) {
  throw new Error('no src/**/*.test.ts found: run `jlpm test` in labextension/');
}
const outdir = mkdtempSync(join(tmpdir(), 'codesave-test-'));
try {
  await build({
    entryPoints: tests,
    outdir,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    logLevel: 'warning'
  });
  const built = readdirSync(outdir, { recursive: true })
    .filter(name => name.endsWith('.cjs'))
    .map(name => join(outdir, name));
  process.exitCode = spawnSync(process.execPath, ['--test', ...built], {
    stdio: 'inherit'
  }).status;
} finally {
  rmSync(outdir, { recursive: true });
}
