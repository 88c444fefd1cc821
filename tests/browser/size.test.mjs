// What a visitor's browser loads of the client, compressed: budgets (issue 14) that nobody breaks without noticing. Counted is the page's copy of
// the package, each file by itself, as a server sends it: everything that a module reaches by imports, workers, and files named by URL.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const ROOT = resolve(import.meta.dirname, '../..');
const WEB = process.env.SEALDROP_WEB ?? join(ROOT, 'www/dist');
const ASSETS = join(WEB, 'assets');
const CLIENT = join(ASSETS, readdirSync(ASSETS).find((name) => name.startsWith('client-')) ?? 'client');
/** How modules name others: imports, `new URL('./other', import.meta.url)`, and the folder of the modules in WebAssembly. */
const IMPORTS = /(?:from|import)\s*\(?["']([^"']+)["']/g;
const FILES = /new URL\(["']([^"']+)["'],\s*import\.meta\.url\)/g;
const NAMED = /["']([a-z_]+\.wasm)["']/g;

const zipped = (name) => gzipSync(readFileSync(join(CLIENT, name)), { level: 9 }).length;

/** Files of the package that a module makes a browser load: with `all`, its workers and WebAssembly, too. */
function reached(entry, all) {
  const found = new Set();
  const open = [entry];
  while (open.length > 0) {
    const name = open.pop();
    if (found.has(name) || !existsSync(join(CLIENT, name))) continue;
    found.add(name);
    if (!name.endsWith('.js')) continue;
    const text = readFileSync(join(CLIENT, name), 'utf8');
    const named = [...text.matchAll(IMPORTS), ...(all ? text.matchAll(FILES) : [])].map(([, path]) => path);
    if (all) named.push(...[...text.matchAll(NAMED)].flatMap(([, path]) => [path, `wasm/${path}`]));
    open.push(...named.filter((path) => !path.endsWith('/')).map((path) => normalize(join(dirname(name), path))));
  }
  return [...found].sort();
}

const sum = (names) => names.map(zipped).reduce((sum, bytes) => sum + bytes, 0);

for (const [what, entry, all, budget] of [
  ['the whole client, with its workers and modules', 'index.js', true, 400_000],
  ['the scripts that a page itself runs of it', 'index.js', false, 15_000],
  ['what names a piece, with its workers and module', 'piece.js', true, 40_000],
  ['what checks proofs, with its worker and module', 'verify.js', true, 50_000],
]) {
  test(`${what}: at most ${budget / 1000} kB compressed`, (t) => {
    const names = reached(entry, all);
    const table = names.map((name) => `${name} ${zipped(name)}`);
    t.diagnostic(`${sum(names)} bytes: ${table.join(', ')}`);
    if (all)
      assert.ok(
        names.some((name) => name.endsWith('.wasm')),
        'its module was found',
      );
    assert.ok(sum(names) <= budget, `${sum(names)} bytes\n${table.join('\n')}`);
  });
}
