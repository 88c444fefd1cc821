// What makes the page installable, and open without a network: its manifest and icons, and the Service Worker that keeps its files. Called at
// the end of the build, when all files are there.

import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { filesOf } from './compressing.mjs';
import { drawIcons, ICONS } from './icons.mjs';

/**
 * What the page does not need to open: maps, the other worker, what is compressed beside its file, what is the operator's alone, who needs the
 * daemon for it, and what of the package only others load.
 * Of the parts for Node a browser loads all but the thread's own.
 */
const LEFT_OUT =
  /\.(map|br|gz)$|^(play|page)-worker\.js$|^icons\/|^assets\/operator-|\/(node-worker|react|devnet|sealdrop_devnet)[^/]*$/;

const MANIFEST = {
  id: './',
  name: 'Sealdrop',
  short_name: 'Sealdrop',
  description: 'Store files with a Filecoin-style storage miner, and check every step yourself.',
  start_url: './',
  scope: './',
  display: 'standalone',
  background_color: '#e8ece7',
  theme_color: '#a61b29',
  categories: ['utilities'],
  icons: [
    { src: 'icons/icon.svg', sizes: 'any', type: 'image/svg+xml', purpose: 'any' },
    ...ICONS.filter(({ name }) => !name.startsWith('apple')).map(({ name, size, purpose }) => ({
      src: `icons/${name}`,
      sizes: `${size}x${size}`,
      type: 'image/png',
      purpose,
    })),
  ],
};

/** Adds all of it to a page that is built into this folder. */
export async function makeInstallable(folder) {
  await drawIcons(join(folder, 'icons'));
  await writeFile(join(folder, 'manifest.webmanifest'), `${JSON.stringify(MANIFEST, undefined, 2)}\n`);
  const files = (await filesOf(folder)).filter((name) => !LEFT_OUT.test(name));
  const digest = createHash('sha256');
  for (const name of files) digest.update(`${name}\0`).update(await readFile(join(folder, name)));
  await build({
    entryPoints: { 'page-worker': 'src/page-worker.ts' },
    outdir: folder,
    bundle: true,
    format: 'iife',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    logLevel: 'warning',
    define: { FILES: JSON.stringify(files), VERSION: JSON.stringify(digest.digest('hex').slice(0, 16)) },
  });
}
