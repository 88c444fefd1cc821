// Builds www/dist, a folder that any web server can serve at any path: index.html, the Service Worker play-worker.js, and `assets/` with what is
// named after its content: main-HASH.js, style-HASH.css, and client-HASH/, a copy of the client package. The package stays outside of the
// bundle, since its workers and modules are files of their own; its folder has the digest of all of them in its name, so nothing in it ever changes
// either. No import map names it: that would be a script in the page, and the page's policy has none.
//
// Beside each file lies the same compressed, NAME.br and NAME.gz, where that is smaller (`compressing.mjs`): servers that know how send those.

import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { build, transform } from 'esbuild';
import { compressFolder, filesOf } from './compressing.mjs';
import { makeInstallable } from './installable.mjs';

const OUT = 'dist';
const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../client-wasm/dist');
/** Hexadecimal digits of a digest in a name: two contents of one name never meet by accident. */
const DIGITS = 12;
const COMMON = { bundle: true, target: 'es2022', minify: true, sourcemap: true, logLevel: 'warning' };

/** Writes the client package to a folder named after its content; returns that folder's name. */
async function copyClient() {
  const names = await filesOf(CLIENT).catch(() => []);
  if (!names.includes('index.js')) throw new Error(`no client package in ${CLIENT}: build it with cargo xtask wasm`);
  const files = await Promise.all(names.filter((name) => !name.endsWith('.d.ts')).map(minified));
  const digest = createHash('sha256');
  for (const { name, content } of files) digest.update(`${name}\0${content.length}\0`).update(content);
  const folder = `client-${digest.digest('hex').slice(0, DIGITS)}`;
  for (const { name, content } of files) {
    const path = join(OUT, 'assets', folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  return folder;
}

async function minified(name) {
  const content = await readFile(join(CLIENT, name));
  if (!name.endsWith('.js')) return { name, content };
  const { code } = await transform(content.toString(), { minify: true, target: COMMON.target, format: 'esm' });
  return { name, content: Buffer.from(code) };
}

/** The client package, outside of the bundle: `sealdrop-client` is its index.js, `sealdrop-client/NAME` its NAME.js. */
const outside = (folder) => ({
  name: 'client',
  setup: (build) =>
    build.onResolve({ filter: /^sealdrop-client(\/[a-z]+)?$/ }, ({ path }) => {
      const file = path.split('/')[1] ?? 'index';
      return { path: `./${folder}/${file}.js`, external: true };
    }),
});

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
const folder = await copyClient();
const { metafile } = await build({
  ...COMMON,
  entryPoints: { main: 'src/main.ts', style: 'style/index.css' },
  entryNames: '[name]-[hash]',
  outdir: join(OUT, 'assets'),
  format: 'esm',
  // What only the operator sees is loaded when the operator's page is opened.
  splitting: true,
  legalComments: 'eof',
  plugins: [outside(folder)],
  metafile: true,
});
// The Service Worker is a script of its own; not all browsers take modules there. Its name stays: browsers look for a newer one there.
await build({ ...COMMON, entryPoints: { 'play-worker': 'src/play-worker.ts' }, outdir: OUT, format: 'iife' });

const made = Object.keys(metafile.outputs).map((path) => relative(OUT, path).replaceAll('\\', '/'));
let page = await readFile('index.html', 'utf8');
for (const [name, ending] of [
  ['main', 'js'],
  ['style', 'css'],
]) {
  const hashed = made.find((path) => path.startsWith(`assets/${name}-`) && path.endsWith(`.${ending}`));
  const plain = `"${name}.${ending}"`;
  if (!hashed || page.split(plain).length !== 2)
    throw new Error(`index.html names ${plain} not once, or it was not built`);
  page = page.replace(plain, `"${hashed}"`);
}
// What the page's script is made of is asked for along with it, not after it.
const parts = Object.entries(metafile.outputs).find(([path]) => /(^|\/)main-[^/]+\.js$/.test(path))?.[1].imports ?? [];
const early = parts.filter(({ kind, external }) => kind === 'import-statement' && !external);
const preloads = early.map(
  ({ path }) => `    <link rel="modulepreload" href="${relative(OUT, path).replaceAll('\\', '/')}" />\n`,
);
page = page.replace('    <script type="module"', `${preloads.join('')}    <script type="module"`);
await writeFile(join(OUT, 'index.html'), page);
await makeInstallable(OUT);
await compressFolder(OUT);
