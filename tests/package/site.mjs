// A web server for what bundlers made: files of folders at their names, with the right types and no special headers.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Serves folders by the first part of the path, or `at['']`; `open` to pages of other servers, as one for many sites is. */
export async function serve(at, { open = false } = {}) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://site').pathname));
    const [, first, ...rest] = path.split('/');
    const [folder, name] = first in at ? [at[first], rest.join('/')] : [at[''], path];
    const file = join(folder, name.endsWith('/') || name === '' ? `${name}index.html` : name);
    try {
      const body = await readFile(file);
      const headers = { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' };
      response.writeHead(200, { ...headers, ...(open && { 'access-control-allow-origin': '*' }) }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    end: () => new Promise((done) => server.close(done).closeAllConnections()),
  };
}
