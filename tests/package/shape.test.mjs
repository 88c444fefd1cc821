// The packed package: what is in it, how large it is, what its `exports` lead to, and that a server may import it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { build } from 'esbuild';
import { publint } from 'publint';
import { CLIENT, dapp, exec, PACKAGE, pack, TARBALL } from './packed.mjs';

const ROOT = resolve(CLIENT, '..');
/** kB gzipped that a page loads on its main thread, without WebAssembly. `react` without React. */
const BUDGETS = { '.': 14, './react': 2, './piece': 6, './account': 7, './verify': 2 };
/** kB gzipped of each part with all that it loads: workers, modules, keys of one size of sectors. They are what stands; wanted are 400, 40 and 50. */
const WHOLE = { client: 857, piece: 44.5, verify: 51.5 };

let files;

before(async () => {
  files = await pack();
});

test('the tarball has what it needs, and nothing else', () => {
  const paths = files.map(({ path }) => path);
  for (const needed of [
    'README.md',
    'LICENSE-MIT',
    'LICENSE-APACHE',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/account.js',
    'dist/backup-worker.js',
    'dist/wasm/sealdrop_client_bg.wasm',
    'dist/wasm/sealdrop_backup_module.wasm',
  ]) {
    assert.ok(paths.includes(needed), `${needed} is missing`);
  }
  const strange = paths.filter(
    (path) =>
      !/^(README\.md|LICENSE-(MIT|APACHE)|package\.json|dist\/[\w-]+\.(js|d\.ts)|dist\/wasm\/\w+\.(js|wasm)|dist\/wasm\/keys\/[\w-]+\.vk)$/.test(
        path,
      ),
  );
  assert.deepEqual(strange, []);
});

test('the licences are those of the repository', () => {
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) {
    assert.equal(readFileSync(join(PACKAGE, name), 'utf8'), readFileSync(join(ROOT, name), 'utf8'), name);
  }
});

test('publint finds nothing', async () => {
  const { messages } = await publint({ pkgDir: PACKAGE, level: 'suggestion', strict: true, pack: false });
  assert.deepEqual(messages, []);
});

test('the types are right however they are resolved, but for require, which there is none of', async () => {
  const found = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(TARBALL))));
  assert.ok(found.types);
  // ES modules only: node10 knows no exports, and CommonJS gets a module by import().
  const left = found.problems.filter(
    ({ kind, resolutionKind }) => resolutionKind !== 'node10' && kind !== 'CJSResolvesToESM',
  );
  assert.deepEqual(left, []);
});

test('types come first, and nothing has side effects', () => {
  const { exports, sideEffects, repository, publishConfig } = JSON.parse(
    readFileSync(join(PACKAGE, 'package.json'), 'utf8'),
  );
  assert.equal(sideEffects, false);
  for (const [path, to] of Object.entries(exports)) {
    if (typeof to === 'object') assert.deepEqual(Object.keys(to), ['types', 'default'], path);
  }
  // What npm says where a package was built needs both.
  assert.match(repository.url, /^git\+https:/);
  assert.equal(publishConfig.provenance, true);
});

test('every part may be imported on a server, where it touches nothing', async () => {
  const folder = await dapp('server');
  // Whoever reads one of these globals while the package is imported fails here.
  const script = `
    const traps = ['window', 'document', 'location', 'indexedDB', 'Worker', 'fetch', 'WebSocket', 'BroadcastChannel', 'crypto', 'WebAssembly', 'AbortSignal'];
    for (const name of traps) {
      Object.defineProperty(globalThis, name, { configurable: true, get() { throw new Error(name + ' was touched'); } });
    }
    const before = Object.getOwnPropertyNames(globalThis).length;
    const { createClient } = await import('sealdrop-client');
    await import('sealdrop-client/piece');
    await import('sealdrop-client/account');
    await import('sealdrop-client/verify');
    await import('sealdrop-client/react');
    createClient({ chain: 'http://127.0.0.1:1/rpc' });
    if (Object.getOwnPropertyNames(globalThis).length !== before) throw new Error('a global was made');
    process.stdout.write('untouched');
  `;
  const { stdout } = await exec(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
  assert.equal(stdout, 'untouched');
});

/** What a script imports when it needs it comes later. */
const later = {
  name: 'later',
  setup: ({ onResolve }) =>
    onResolve({ filter: /.*/ }, ({ kind, path }) => (kind === 'dynamic-import' ? { path, external: true } : undefined)),
};

/** A script with all that it imports at once, as a bundler makes it; kB gzipped. */
async function bundled(file) {
  const { outputFiles } = await build({
    entryPoints: [join(PACKAGE, 'dist', file)],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    external: ['react'],
    plugins: [later],
    logLevel: 'error',
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length / 1000;
}

const zipped = (file) => gzipSync(readFileSync(join(PACKAGE, 'dist', file)), { level: 9 }).length / 1000;

test('each part stays within its budget on the main thread', async (t) => {
  const entries = {
    '.': 'index.js',
    './react': 'react.js',
    './piece': 'piece.js',
    './account': 'account.js',
    './verify': 'verify.js',
  };
  for (const [part, file] of Object.entries(entries)) {
    const size = await bundled(file);
    t.diagnostic(`${part}: ${size.toFixed(1)} kB of ${BUDGETS[part]}`);
    assert.ok(size <= BUDGETS[part], `${part} loads ${size.toFixed(1)} kB`);
  }
});

test('each part stays within its budget with all that it loads', async (t) => {
  const piece = (await bundled('piece.js')) + (await bundled('piece-worker.js')) + zipped('wasm/sealdrop_commp.wasm');
  const verify =
    (await bundled('verify.js')) +
    (await bundled('verify-worker.js')) +
    zipped('wasm/sealdrop_verify_module.wasm') +
    zipped('wasm/keys/porep-8MiB.vk') +
    zipped('wasm/keys/window-8MiB.vk');
  const client =
    (await bundled('index.js')) + (await bundled('network-worker.js')) + zipped('wasm/sealdrop_client_bg.wasm');
  for (const [part, size] of Object.entries({ client, piece, verify })) {
    t.diagnostic(`${part}: ${size.toFixed(1)} kB of ${WHOLE[part]}`);
    assert.ok(size <= WHOLE[part], `${part} is ${size.toFixed(1)} kB`);
  }
});
