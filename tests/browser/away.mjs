// A chain endpoint that names another address for every miner: one that takes connections and never says a word.
// Everything else goes to the real chain.

import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';

const listen = (server) =>
  new Promise((done, failed) => server.once('error', failed).listen(0, '127.0.0.1', () => done(server.address().port)));

export async function chainOfSilentMiners(chain) {
  const sockets = new Set();
  const silent = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  const port = await listen(silent);
  const endpoint = createHttpServer(async (request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-allow-headers', '*');
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    try {
      const parts = [];
      for await (const part of request) parts.push(part);
      const body = Buffer.concat(parts);
      const { id, method } = JSON.parse(body.toString());
      response.setHeader('content-type', 'application/json');
      if (method === 'peers.find') {
        return response.end(JSON.stringify({ jsonrpc: '2.0', id, result: [`/ip4/127.0.0.1/tcp/${port}/ws`] }));
      }
      const answer = await fetch(chain, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      response.writeHead(answer.status).end(await answer.text());
    } catch (error) {
      response.writeHead(502).end(String(error));
    }
  });
  return {
    url: `http://127.0.0.1:${await listen(endpoint)}/rpc`,
    close() {
      endpoint.closeAllConnections();
      endpoint.close();
      for (const socket of sockets) socket.destroy();
      silent.close();
    },
  };
}
