// Dapps that are built with the packed package, by every bundler that the README names, and run in Chromium against a daemon with proofs
// that are named fake: each names a file in workers, checks a proof and opens a client; two of them store a file, too.

import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { Daemon, FAKE } from '../browser/daemon.mjs';
import { launch } from '../browser/page.mjs';
import { CLIENT, dapp, exec, filesOf, PACKAGE, pack, serving, tool } from './packed.mjs';
import { serve } from './site.mjs';

const LIMIT = { timeout: 300_000 };
/** The piece of the file that all of them hash, as every other way to it says. */
const PIECE = /^baga6ea4seaq[a-z2-7]{52}$/;

let daemon;
let browser;

before(async () => {
  daemon = await Daemon.start(['--chain-public'], { program: FAKE });
  browser = await launch();
  await pack();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
});

/** Opens a dapp's page, and what it came to. */
async function outcome(url, { store = false } = {}) {
  const page = await browser.newPage();
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(`${error}`));
  page.on('requestfailed', (request) => said.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => response.status() >= 400 && said.push(`${response.status()} ${response.url()}`));
  try {
    await page.goto(`${url}?chain=${encodeURIComponent(daemon.chain)}${store ? '&store' : ''}`);
    const found = await page.waitForFunction('globalThis.outcome', undefined, { timeout: 120_000 });
    return await found.jsonValue();
  } catch (error) {
    throw new Error(`${error.message}\n${said.slice(-30).join('\n')}`);
  } finally {
    await page.close();
  }
}

let pieceCid;

/** Whether a dapp does all that it is to do. */
async function works(url, options) {
  const found = await outcome(url, options);
  assert.equal(found.failed, undefined);
  assert.match(found.pieceCid, PIECE);
  pieceCid ??= found.pieceCid;
  assert.equal(found.pieceCid, pieceCid, 'all of them find the same piece');
  assert.equal(found.proof, 'fails', 'a proof of nothing was checked');
  assert.match(found.address, /^t1/);
  if (options?.store) {
    assert.ok(found.same, 'the file came back as it was');
    assert.equal(found.state, 'kept');
    assert.deepEqual(found.types.filter((type) => type !== 'deal' && type !== 'file').slice(0, 4), [
      'hashing',
      'prepared',
      'quoted',
      'ordered',
    ]);
    assert.ok(Number(found.cost) > 0);
  }
}

/** Serves a folder while `work` runs. */
async function served(folder, work) {
  const site = await serve({ '': folder });
  try {
    await work(site.url);
  } finally {
    await site.end();
  }
}

test('Vite serves it while it is developed', LIMIT, async () => {
  const folder = await dapp('vite-dev', 'dapp.js', 'main.js', 'index.html', 'vite.config.mjs');
  const server = await serving(tool('vite'), ['--host', '127.0.0.1', '--port', '0'], { cwd: folder });
  try {
    await works(server.url);
  } finally {
    await server.end();
  }
});

test('Vite builds it, and it stores a file', LIMIT, async () => {
  const folder = await dapp('vite', 'dapp.js', 'main.js', 'index.html', 'vite.config.mjs');
  await exec(tool('vite'), ['build'], { cwd: folder });
  await served(join(folder, 'dist'), (url) => works(url, { store: true }));
});

test('webpack builds it', LIMIT, async () => {
  const folder = await dapp('webpack', 'dapp.js', 'main.js', 'index.html');
  const { default: webpack } = await import('webpack');
  const { default: config } = await import('./consumers/webpack.config.mjs');
  const stats = await new Promise((resolve, reject) =>
    webpack({ ...config, context: folder, output: { ...config.output, path: join(folder, 'dist') } }, (error, stats) =>
      error ? reject(error) : resolve(stats),
    ),
  );
  assert.deepEqual(stats.toJson({ all: false, errors: true, warnings: true }), { errors: [], warnings: [] });
  await cp(join(folder, 'index.html'), join(folder, 'dist/index.html'));
  await served(join(folder, 'dist'), works);
});

test('esbuild bundles it beside a copy of the package', LIMIT, async () => {
  const folder = await dapp('esbuild', 'dapp.js', 'main-copied.js', 'index.html');
  await build({
    entryPoints: [join(folder, 'main-copied.js')],
    outfile: join(folder, 'out/main.js'),
    bundle: true,
    format: 'esm',
    minify: true,
    logLevel: 'error',
  });
  await cp(join(folder, 'index.html'), join(folder, 'out/index.html'));
  await cp(join(PACKAGE, 'dist'), join(folder, 'out/sealdrop'), { recursive: true });
  await served(join(folder, 'out'), works);
});

test('Rollup bundles it beside a copy of the package', LIMIT, async () => {
  const folder = await dapp('rollup', 'dapp.js', 'main-copied.js', 'index.html');
  const [{ rollup }, { nodeResolve }] = await Promise.all([import('rollup'), import('@rollup/plugin-node-resolve')]);
  const bundle = await rollup({ input: join(folder, 'main-copied.js'), plugins: [nodeResolve({ browser: true })] });
  await bundle.write({ dir: join(folder, 'out'), entryFileNames: 'main.js', format: 'es' });
  await cp(join(folder, 'index.html'), join(folder, 'out/index.html'));
  await cp(join(PACKAGE, 'dist'), join(folder, 'out/sealdrop'), { recursive: true });
  await served(join(folder, 'out'), works);
});

test('Next.js builds it, as a client component with hooks', { timeout: 600_000 }, async () => {
  const folder = await dapp('next', 'next/app', 'next/next.config.mjs', 'dapp.js');
  await cp(join(folder, 'next'), folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "name": "dapp", "private": true }');
  await exec(tool('next'), ['build'], { cwd: folder, env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' } });
  const page = await readFile(join(folder, 'out/index.html'), 'utf8');
  assert.match(page, /0\.00025/, 'the server’s part ran');
  await served(join(folder, 'out'), works);
});

test('a page without a bundler takes it by an import map', LIMIT, async () => {
  const folder = await dapp('plain', 'dapp.js', 'main.js', 'import-map.html');
  await cp(join(folder, 'import-map.html'), join(folder, 'index.html'));
  const site = await serve({ '': folder, sealdrop: join(PACKAGE, 'dist') });
  try {
    await works(site.url);
  } finally {
    await site.end();
  }
});

test('the example dapp stores a file that is chosen, checks it and takes it back', LIMIT, async () => {
  const folder = await dapp('example');
  await cp(join(CLIENT, 'examples/dapp.html'), join(folder, 'index.html'));
  assert.ok((await readFile(join(folder, 'index.html'), 'utf8')).split('\n').length <= 40, 'it is short');
  const site = await serve({ '': folder, sealdrop: join(PACKAGE, 'dist') });
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000);
  try {
    await page.goto(`${site.url}?chain=${encodeURIComponent(daemon.chain)}`);
    const buffer = Buffer.alloc(700, 'kept ');
    await page.setInputFiles('#file', { name: 'letter.txt', mimeType: 'text/plain', buffer });
    const log = page.locator('#log');
    await page
      .locator('#back a')
      .waitFor()
      .catch(async (error) => {
        throw new Error(`${error.message}\n${await log.innerText()}`);
      });
    // A miner that has no time for its proofs is late, and that is said, too.
    assert.match(await log.innerText(), /^b\w+: (holds|pending|fails); commP \w+ leads over/m);
    assert.match(await log.innerText(), /costs at most 0\.\d+ FIL/);
    const back = await page.evaluate(async () => (await fetch(document.querySelector('#back a').href)).text());
    assert.equal(back, buffer.toString());
  } finally {
    await page.close();
    await site.end();
  }
});

test('a page without a bundler takes it from another server', LIMIT, async () => {
  const folder = await dapp('elsewhere', 'dapp.js', 'main.js', 'import-map.html');
  const other = await serve({ '': join(PACKAGE, 'dist') }, { open: true });
  const page = await readFile(join(folder, 'import-map.html'), 'utf8');
  await writeFile(join(folder, 'index.html'), page.replaceAll('"/sealdrop/', `"${other.url}`));
  try {
    await served(folder, works);
  } finally {
    await other.end();
  }
});

test('the hooks show deals and files as they are, in React 19', LIMIT, async () => {
  const folder = await dapp('react', 'react.jsx', 'react.html', 'vite.config.mjs');
  await cp(join(folder, 'react.html'), join(folder, 'index.html'));
  await exec(tool('vite'), ['build'], { cwd: folder });
  await served(join(folder, 'dist'), async (url) => {
    const page = await browser.newPage();
    page.setDefaultTimeout(120_000);
    try {
      await page.goto(`${url}?chain=${encodeURIComponent(daemon.chain)}`);
      const shows = (id, text) => page.locator(`#${id}`, { hasText: text }).waitFor();
      await shows('files', /^0$/);
      await page.click('#store');
      await shows('status', 'running');
      await shows('files', /^1$/);
      await shows('status', 'stored stored');
      await shows('file', 'kept');
      await shows('deals', /^complete$/);
      await page.click('#forget');
      // Its channel may still pay the miner.
      await shows('status', 'refund-pending');
      await page.evaluate('leave()');
      assert.equal(await page.locator('#root').innerHTML(), '');
    } finally {
      await page.close();
    }
  });
});

test('what is bundled for one part has nothing of the others in it', LIMIT, async () => {
  const folder = await dapp('parts', 'dapp.js');
  await writeFile(
    join(folder, 'main.js'),
    "import { computePiece } from 'sealdrop-client/piece';\nglobalThis.computePiece = computePiece;\n",
  );
  await writeFile(join(folder, 'index.html'), '<!doctype html><script type="module" src="./main.js"></script>');
  await exec(tool('vite'), ['build'], { cwd: folder });
  const names = (await filesOf(join(folder, 'dist'))).map((file) => file.slice(folder.length));
  assert.ok(
    names.some((name) => /sealdrop_commp.*\.wasm/.test(name)),
    names.join(),
  );
  assert.ok(!names.some((name) => /sealdrop_client|network-worker|verify/.test(name)), names.join());
});
