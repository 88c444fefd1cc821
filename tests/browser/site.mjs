// A page with nothing on it but the client package, for tests and measurements that need no daemon.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, resolve } from 'node:path';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};
const PAGE = '<!doctype html><title>Sealdrop</title><link rel="icon" href="data:,"><input type="file">';

/** Serves the page at `/`, the package at `/client/`, and the folders of `more` at their names, without special headers. */
export async function serve(more = {}) {
  const folders = { client: CLIENT, ...more };
  const server = createServer(async (request, response) => {
    const [, name, ...rest] = normalize(new URL(request.url, 'http://site').pathname).split('/');
    try {
      const file = rest.length === 1 && rest[0] === '' ? ['index.html'] : rest;
      const body = name === '' ? PAGE : await readFile(join(folders[name], ...file));
      response.writeHead(200, {
        'content-type': name === '' ? 'text/html' : (TYPES[extname(file.at(-1) ?? '')] ?? 'application/octet-stream'),
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { port: server.address().port, close: () => new Promise((done) => server.close(done).closeAllConnections()) };
}
