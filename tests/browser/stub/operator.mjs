// In place of a daemon: answers its operator's requests from what it is told, streams its news, and serves the page at the same origin. Orders change
// what it is told as the daemon would, and are written down.

import { createServer } from 'node:http';
import { openShop } from '../shop.mjs';
import { healthy } from './operator-data.mjs';

export const TOKENS = { read: 'a'.repeat(64), operate: 'b'.repeat(64), admin: 'c'.repeat(64) };
const SCOPES = ['read', 'operate', 'admin'];
const API = '/api/v1/miner/';

/** Opens the page with this daemon behind it. */
export async function openOperator(told = healthy()) {
  const shop = await openShop();
  const daemon = { told, orders: [], answers: {}, isAway: false, streams: new Set() };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://daemon');
    if (daemon.isAway && pathname.startsWith(API)) return request.socket.destroy();
    if (pathname.startsWith(API)) return void api(daemon, request, response, pathname.slice(API.length));
    return void page(shop, pathname, response).catch(() => response.destroy());
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return Object.assign(daemon, {
    url: `http://127.0.0.1:${server.address().port}/`,
    /** Says what changed. */
    tell: (...topics) => {
      for (const stream of daemon.streams) stream.write(`event: changed\ndata: ${JSON.stringify({ topics })}\n\n`);
    },
    /** Does not answer any more, as if it had ended. */
    leave: () => {
      daemon.isAway = true;
      for (const stream of daemon.streams) stream.destroy();
    },
    comeBack: () => {
      daemon.isAway = false;
    },
    close: async () => {
      for (const stream of daemon.streams) stream.destroy();
      await new Promise((done) => server.close(done).closeAllConnections());
      await shop.close();
    },
  });
}

/** A file of the page. */
async function page({ url }, pathname, response) {
  const answer = await fetch(new URL(`.${pathname === '/' ? '/index.html' : pathname}`, url));
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
  response.end(Buffer.from(await answer.arrayBuffer()));
}

async function api(daemon, request, response, path) {
  const said = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const scope = SCOPES.find((each) => TOKENS[each] === token);
  if (!scope) return said(401, { error: 'this needs a token of the operator: `sealdrop token show` prints one' });
  if (path === 'whoami') return said(200, { scope });
  if (path === 'events') return stream(daemon, response);
  const body = await bodyOf(request);
  if (request.method === 'POST') {
    const least = path === 'settings' || path === 'log' ? 'admin' : 'operate';
    if (SCOPES.indexOf(scope) < SCOPES.indexOf(least)) return said(403, { error: `this needs the scope ${least}` });
    daemon.orders.push({ path, body });
    const [status, answer] = order(daemon, path, body);
    return said(status, answer);
  }
  const found = daemon.told[path];
  return found === undefined ? said(404, { error: `there is no such thing as ${path}` }) : said(200, found);
}

function stream(daemon, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': alive\n\n');
  daemon.streams.add(response);
  response.on('close', () => daemon.streams.delete(response));
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = Buffer.concat(parts).toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What comes of an order: a status and an answer. */
function order({ told, answers }, path, body) {
  if (answers[path]) return answers[path];
  const [kind, id, what] = path.split('/');
  if (kind === 'mining' && id !== 'once') told.mining.mining = id === 'start';
  if (kind === 'mining' && id === 'once') return [200, { height: told.mining.height + 1, block: 'bafyblock' }];
  if (kind === 'mining' || kind === 'seal-now') return [200, told.mining];
  if (kind === 'sectors') return [200, orderSector(told, Number(id), what)];
  if (kind === 'deals' && what === 'redeem') return redeem(told, path, body);
  if (kind === 'settings') return change(told, body);
  if (kind === 'log') told.log.filter = body.filter;
  if (kind === 'log') return [200, told.log];
  if (kind === 'alerts') return [200, Object.assign(told.alerts, { lastSent: Date.now() })];
  return [404, { error: `there is no such order as ${path}` }];
}

function orderSector(told, id, what) {
  const sector = told.sectors.find((each) => each.id === id);
  told.mining.stuck = told.mining.stuck.filter((each) => each !== id);
  const phase = what === 'retry' ? sector.setback.next : 'removed';
  return Object.assign(sector, { phase, setback: null, since: Date.now() });
}

function redeem(told, path, { preview }) {
  const deal = told[path.replace(/\/redeem$/, '')];
  const voucher = deal.vouchers.find(({ isRedeemed }) => !isRedeemed);
  if (!voucher) return [409, { error: 'no voucher of this deal is due' }];
  const gain = '0.005';
  if (preview) return [200, { voucher, gain, gas: 120_000, message: null, height: null }];
  voucher.isRedeemed = true;
  deal.redeemed = '0.01';
  return [200, { voucher, gain, gas: 120_000, message: 'bafy2bzaceredeemed', height: told.mining.height + 1 }];
}

function change(told, body) {
  if (body.askBlocks !== undefined && body.askBlocks < 10) {
    return [400, { error: `an ask cannot stand for ${body.askBlocks} blocks: choose 10 to 105120000` }];
  }
  const isNewAsk = body.price !== undefined || body.askBlocks !== undefined;
  told.settings = { ...told.settings, ...body };
  const askHeight = isNewAsk ? told.mining.height + 1 : null;
  return [200, { settings: told.settings, askMessage: isNewAsk ? 'bafy2bzaceask' : null, askHeight }];
}
