// Builds www/dist: index.html, style.css and main.js. The client package stays outside of the bundle: the daemon
// serves it under /client/, and the import map of index.html names it.

import { copyFile, mkdir, rm } from 'node:fs/promises';
import { build } from 'esbuild';

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
  external: ['sealdrop-client'],
  logLevel: 'warning',
});
await copyFile('index.html', 'dist/index.html');
