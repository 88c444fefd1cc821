// Builds www/dist: index.html, style.css, main.js and the Service Worker play-worker.js. The client package stays outside of the bundle: whoever serves the page
// serves it as `client/` beside it, at any path. No import map names it there, since it would be a script in the page: the page's
// policy has none.

import { copyFile, mkdir, rm } from 'node:fs/promises';
import { build } from 'esbuild';
import { makeInstallable } from './installable.mjs';

/** The client package, beside the page. */
const client = {
  name: 'client',
  setup: (build) =>
    build.onResolve({ filter: /^sealdrop-client(\/verify)?$/ }, ({ path }) => {
      const file = path === 'sealdrop-client' ? 'index' : 'verify';
      return { path: `./client/${file}.js`, external: true };
    }),
};

await rm('dist', { recursive: true, force: true });
await mkdir('dist', { recursive: true });
await build({
  entryPoints: { main: 'src/main.ts', style: 'style/index.css' },
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  sourcemap: true,
  legalComments: 'eof',
  plugins: [client],
  logLevel: 'warning',
});
// The Service Worker is a script of its own; not all browsers take modules there.
await build({
  entryPoints: { 'play-worker': 'src/play-worker.ts' },
  outdir: 'dist',
  bundle: true,
  format: 'iife',
  target: 'es2022',
  minify: true,
  sourcemap: true,
  logLevel: 'warning',
});
await copyFile('index.html', 'dist/index.html');
await makeInstallable('dist');
