// The page as a public web site has it: over https, at a path of its own, from another origin than chain and miner. Names are
// mapped to this machine, and Chromium is told which ports it is to take for public ones.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { extname, join, normalize, resolve } from 'node:path';
import { freePorts } from './ports.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const WEB = process.env.SEALDROP_WEB ?? join(ROOT, 'www/dist');
const CLIENT = process.env.SEALDROP_CLIENT ?? join(ROOT, 'client-wasm/dist');
const TYPES = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};
/** Made for these tests alone; browsers are told not to mind who signed it. */
const pem = (name) => readFileSync(join(import.meta.dirname, 'certificate', name));

/** Where the page lies on its server. */
const PATH = '/tools/sealdrop/';

/** Serves a request handler over https. */
export async function overHttps(handle) {
  const [port] = await freePorts(1);
  const server = createServer({ key: pem('key.pem'), cert: pem('cert.pem') }, handle);
  await new Promise((done, failed) => server.once('error', failed).listen(port, '127.0.0.1', done));
  return { port, close: () => new Promise((done) => server.close(done).closeAllConnections()) };
}

/** A plain web server with nothing but the page's files, and a `config.json` if there is one; it sends no policy. */
export async function staticSite(name, config) {
  const server = await overHttps(async (request, response) => {
    const path = normalize(new URL(request.url, 'https://site').pathname);
    const asked = path.startsWith(PATH) ? path.slice(PATH.length) || 'index.html' : undefined;
    try {
      if (asked === undefined) throw new Error('elsewhere');
      const file = asked.startsWith('client/') ? join(CLIENT, asked.slice('client/'.length)) : join(WEB, asked);
      const body = asked === 'config.json' && config ? JSON.stringify(config) : await readFile(file);
      response.writeHead(200, { 'content-type': TYPES[extname(asked)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return { ...server, page: `https://${name}${PATH}` };
}

/** What Chromium has to be told: `names` are those of https servers, by port; `spaces` says which ports are how far away. */
export function flags(names, spaces) {
  const rules = Object.entries(names).map(([name, port]) => `MAP ${name} 127.0.0.1:${port}`);
  const overrides = Object.entries(spaces).map(([port, space]) => `127.0.0.1:${port}=${space}`);
  return [`--host-resolver-rules=${rules.join(', ')}`, `--ip-address-space-overrides=${overrides.join(',')}`];
}
