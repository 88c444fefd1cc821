// Chain endpoints that lie to the page about the miners; everything else goes to the real chain.

import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { signedPeer } from './peer-record.mjs';

const listen = (server) =>
  new Promise((done, failed) => server.once('error', failed).listen(0, '127.0.0.1', () => done(server.address().port)));

/** Answers requests as `chain` does, but for `tamper(method, result, params)`, which may give another result. Unless it is open, no page reads that. */
export function chainFor(chain, { tamper = (_, result) => result, isOpen = true } = {}) {
  return async (request, response) => {
    if (isOpen) {
      response.setHeader('access-control-allow-origin', '*');
      response.setHeader('access-control-allow-headers', '*');
    }
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    try {
      const parts = [];
      for await (const part of request) parts.push(part);
      const body = Buffer.concat(parts);
      const { method, params } = JSON.parse(body.toString());
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(chain, { method: 'POST', headers, body, signal: AbortSignal.timeout(20_000) });
      const said = await answer.json();
      if ('result' in said) said.result = tamper(method, said.result, params);
      response.writeHead(answer.status, headers).end(JSON.stringify(said));
    } catch (error) {
      response.writeHead(502).end(String(error));
    }
  };
}

/** An endpoint that answers as `chain` does, but for what `tamper` changes. */
async function chainThrough(chain, tamper) {
  const endpoint = createHttpServer(chainFor(chain, { tamper }));
  return closing(endpoint, await listen(endpoint));
}

const closing = (endpoint, port) => ({
  url: `http://127.0.0.1:${port}/rpc`,
  close() {
    endpoint.closeAllConnections();
    endpoint.close();
  },
});

/** A peer that takes connections and never says a word: its id, its signed record of addresses, and an end. */
async function silentPeer() {
  const sockets = new Set();
  const silent = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  const port = await listen(silent);
  const peer = signedPeer([true, false].map((webSocket) => ({ ip: [127, 0, 0, 1], port, webSocket })));
  const close = () => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  };
  return { ...peer, close };
}

/** Names another address for every miner: one that takes connections and never says a word. */
export async function chainOfSilentMiners(chain) {
  const peer = await silentPeer();
  // Addresses count when their peer has signed them, so the miners are named by another peer id, too.
  const moved = (miner) => miner && { ...miner, peerId: peer.id };
  const through = await chainThrough(chain, (method, result) => {
    if (method === 'chain.miners') return result.map(moved);
    if (method === 'chain.miner') return moved(result);
    return method === 'peers.find' ? peer.record : result;
  });
  return {
    url: through.url,
    close() {
      through.close();
      peer.close();
    },
  };
}

/** Goes on with the last answers to the same questions when the chain is gone. */
export async function chainThatRemembers(chain) {
  const last = new Map();
  const endpoint = createHttpServer(async (request, response) => {
    response.setHeader('access-control-allow-origin', '*').setHeader('access-control-allow-headers', '*');
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    const parts = [];
    for await (const part of request) parts.push(part);
    const { id, method, params } = JSON.parse(Buffer.concat(parts).toString() || '{}');
    const question = JSON.stringify({ method, params });
    try {
      const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
      const headers = { 'content-type': 'application/json' };
      last.set(question, await (await fetch(chain, { method: 'POST', headers, body })).json());
    } catch {
      // It is gone.
    }
    response.writeHead(last.has(question) ? 200 : 502).end(JSON.stringify({ ...last.get(question), id }));
  });
  return closing(endpoint, await listen(endpoint));
}

/** The same chain under another genesis id: to a client it is another network. */
export const chainOfAnotherGenesis = (chain) =>
  chainThrough(chain, (method, result) =>
    method === 'chain.network'
      ? { ...result, genesis: 'bafy2bzacea45nf5vfkl36jrcvlucxkvt2yxivwg42tjkrk7gznnidmerdxvgi' }
      : result,
  );

/**
 * Names two more miners, both cheaper than the real one: the cheapest has a host that never says a word, the next one that of the
 * real miner, which takes no deals for another.
 */
export async function chainOfThreeMiners(chain) {
  const peer = await silentPeer();
  const more = (miner) =>
    [
      { address: 't0900001', peerId: peer.id, price: '0.00000000001' },
      { address: 't0900002', peerId: miner.peerId, price: '0.00000000002' },
    ].map(({ price, ...named }) => ({ ...miner, ...named, asks: miner.asks.map((ask) => ({ ...ask, price })) }));
  const through = await chainThrough(chain, (method, result, params) => {
    if (method === 'chain.miners') return result.flatMap((miner) => [...more(miner), miner]);
    return method === 'peers.find' && JSON.stringify(params).includes(peer.id) ? peer.record : result;
  });
  return {
    url: through.url,
    close() {
      through.close();
      peer.close();
    },
  };
}

/** Shows lower prices than the miners have, until it is told to be honest: deals open a channel that the miners find too small, and reject. */
export async function chainOfCheapMiners(chain) {
  let lies = true;
  const cheap = (miner) => ({ ...miner, asks: miner.asks.map((ask) => ({ ...ask, price: '0.00000000001' })) });
  const through = await chainThrough(chain, (method, result) => {
    if (lies && method === 'chain.miners') return result.map(cheap);
    return lies && method === 'chain.miner' && result ? cheap(result) : result;
  });
  return {
    ...through,
    beHonest() {
      lies = false;
    },
  };
}

/** Says that its proofs are made under these verifying keys. */
export const chainUnderKeys = (chain, verifyingKeys) =>
  chainThrough(chain, (method, result) => (method === 'chain.network' ? { ...result, verifyingKeys } : result));
