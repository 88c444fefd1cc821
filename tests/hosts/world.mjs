// A network of daemons, each on a host of its own: a chain alone, miners that joined it, and clients. Proofs are fake (`killable-daemon`),
// so that what takes time is the network.

import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PROGRAM } from '../browser/daemon.mjs';
import { CHROMIUM, launch } from '../browser/page.mjs';
import { Network } from './network.mjs';

const DAEMON = join(dirname(PROGRAM), 'killable-daemon');
/** Ports on every host. */
const PORT = { web: 4400, p2p: 4401, ws: 4402, chain: 4403, http: 4405 };
/** Sectors that take files whose transfer can be interrupted, and blocks as fast as a busy machine makes them. */
const SECTORS = ['--sector-size', '512MiB'];
const CHAIN = [
  ...SECTORS,
  '--block-time',
  '200ms',
  '--proving-period',
  '600',
  '--challenge-window',
  '400',
  '--grace',
  '600',
];
const MINER = [...SECTORS, '--auto-seal', '200ms'];
/** Little, so that the faucet is enough for every file. */
const PRICE = ['--price', '0.0000000000001'];
/** How long anything may take on a busy machine. */
export const LIMIT_MS = 180_000;

/** Waits until `found` gives something. */
export async function until(what, found, limitMs = LIMIT_MS) {
  const limit = Date.now() + limitMs;
  for (;;) {
    const value = await found();
    if (value) return value;
    if (Date.now() > limit) throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`);
    await pause(100);
  }
}

/** A daemon on a host, with a home that it keeps over restarts. */
class Node {
  constructor(host, folder, args) {
    this.host = host;
    this.home = join(folder, `${host.name}-home`);
    this.logPath = join(folder, `${host.name}.log`);
    this.args = args;
    this.starts = 0;
  }

  get log() {
    return readFileSync(this.logPath, 'utf8');
  }

  async start() {
    this.starts += 1;
    const log = openSync(this.logPath, this.starts === 1 ? 'w' : 'a');
    const args = [...this.args(this.host), '--home', this.home];
    this.child = this.host.spawn(DAEMON, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, RUST_LOG: 'sealdrop=debug' },
    });
    closeSync(log);
    let over = false;
    this.ended = new Promise((done) => this.child.once('exit', done).once('error', done)).then(() => (over = true));
    const isReady = () => {
      if (over) throw new Error(`${this.host.name} ended by itself:\n${this.log.slice(-4000)}`);
      return this.log.split('Sealdrop is ready').length > this.starts;
    };
    await until(`${this.host.name} to be ready`, isReady);
  }

  async kill() {
    this.child?.kill('SIGKILL');
    await this.ended;
    this.child = undefined;
  }

  /** A command of its operator. */
  async ask(...words) {
    const { code, stdout, stderr } = await this.host.run(PROGRAM, [...words, '--json', '--home', this.home]);
    if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** The pieces that it has or is fetching, by name, with the bytes that are there. */
  pieces() {
    const folder = join(this.home, 'miner/staging');
    const size = (name) => {
      try {
        return statSync(join(folder, name)).size;
      } catch {
        return 0; // It is gone between the two looks.
      }
    };
    return new Map(readdirSync(folder).map((name) => [name, size(name)]));
  }
}

/** The client of the command line, on a host, with a home of its own. */
class Terminal {
  constructor(host, folder, chain) {
    this.host = host;
    this.folder = join(folder, `${host.name}-terminal`);
    this.chain = chain;
    mkdirSync(this.folder, { recursive: true });
  }

  /** A file of so many bytes that look random, others for each seed. */
  file(seed, bytes) {
    const path = join(this.folder, `file-${seed}`);
    let state = seed * 2654435761 + 1;
    const content = Buffer.alloc(bytes);
    for (let at = 0; at + 4 <= bytes; at += 4) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      content.writeUInt32LE(state, at);
    }
    writeFileSync(path, content);
    return path;
  }

  async run(...words) {
    const args = [...words, '--home', join(this.folder, 'home'), '--chain', this.chain];
    const { code, stdout, stderr } = await this.host.run(PROGRAM, args);
    if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${stderr.slice(-3000)}`);
    return stdout;
  }

  /** Stores a file with a miner until the deal is complete; the deal's id. */
  async store(path, miner) {
    const said = await this.run('client', 'store', path, '--miner', miner, '--duration', '3000');
    return said.trim().split('\n').at(-1).split(' ').at(-1);
  }

  /** Takes a deal's file back. */
  async retrieve(deal) {
    const path = join(this.folder, `back-${deal}`);
    await this.run('client', 'retrieve', deal, '-o', path);
    return readFileSync(path);
  }
}

export class World {
  /**
   * A chain, so many miners, and hosts for clients. `listen` gives the multiaddrs of a miner by its host and its number, `options` are
   * every miner's, in place of a price.
   */
  static async start(miners, clients, { listen, options = PRICE } = {}) {
    const world = new World();
    Object.assign(world, { listen, options });
    const names = Array.from({ length: miners }, (_, i) => `miner${i + 1}`);
    world.network = await Network.start(['chain', ...names, ...clients]);
    try {
      const { folder } = world.network;
      world.chain = new Node(world.network.host('chain'), folder, ({ address }) => [
        'chain',
        'run',
        ...CHAIN,
        '--chain-listen',
        `${address}:${PORT.chain}`,
        '--chain-public',
      ]);
      await world.chain.start();
      world.endpoint = `http://${world.network.host('chain').address}:${PORT.chain}`;
      world.miners = names.map(
        (name, i) => new Node(world.network.host(name), folder, (host) => world.minerArgs(host, i)),
      );
      await Promise.all(world.miners.map((miner) => miner.start()));
      for (const miner of world.miners) miner.id = (await miner.ask('miner', 'status')).address;
    } catch (error) {
      await world.end();
      throw error;
    }
    return world;
  }

  minerArgs(host, number) {
    // On every address that the host has, now and later; loopback addresses are not a host's own.
    const ip = this.network.isReal ? '0.0.0.0' : host.address;
    const over = [
      `tcp/${PORT.p2p}`,
      `udp/${PORT.p2p}/quic-v1`,
      `tcp/${PORT.ws}/ws`,
      `udp/${PORT.ws}/quic-v1/webtransport`,
    ];
    const usual = over.map((over) => `/ip4/${ip}/${over}`);
    const listen = this.listen?.(host, number) ?? usual;
    const own = this.network.isReal ? '127.0.0.1' : host.address;
    const where = ['--chain', this.endpoint, '--p2p-listen', listen.join(',')];
    where.push('--web-listen', `${own}:${PORT.web}`, '--http-listen', `${own}:${PORT.http}`);
    return ['daemon', ...MINER, ...where, ...this.options];
  }

  terminal(name) {
    return new Terminal(this.network.host(name), this.network.folder, this.endpoint);
  }

  /** Every line of the network the same: `delayMs` from any host to any other and back, and a part of the packets lost on the way. */
  async paths({ roundTripMs = 0, loss = 0 }) {
    // A packet goes over two lines, its answer over two more.
    for (const name of this.network.hosts.keys())
      await this.network.path(name, { delayMs: roundTripMs / 4, loss: loss / 2 });
  }

  async end() {
    for (const node of [this.chain, ...(this.miners ?? [])]) await node?.kill();
    await this.network.end();
  }
}

/** What the page does: stores a file with each miner until it is complete, and takes it back. The miners that it was at. */
async function inPage({ chain, miners, bytes }) {
  const { computePiece, createClient, toBlob } = await import('/client/index.js');
  const client = createClient({ chain });
  if ((await client.wallet.balance()) === 0n) await client.wallet.faucet();
  const done = [];
  for (const address of miners) {
    const parts = Array.from({ length: bytes >> 16 }, () => crypto.getRandomValues(new Uint8Array(1 << 16)));
    const file = new File(parts, 'page.bin');
    const prepared = await computePiece(file);
    const miner = (await client.miners()).find((miner) => miner.address === address);
    const { id } = await client.store(file, { prepared, miner, duration: 3000, until: 'ordered' });
    for (;;) {
      const deal = await client.deal(id);
      if (deal.state === 'failed') throw new Error(`the deal failed: ${deal.error?.message ?? deal.reason}`);
      if (deal.state === 'complete') break;
      await new Promise((next) => setTimeout(next, 200));
    }
    const back = new Uint8Array(await (await toBlob(client.retrieve(id))).arrayBuffer());
    const sent = new Uint8Array(await file.arrayBuffer());
    if (back.length !== sent.length || back.some((byte, at) => byte !== sent[at]))
      throw new Error('other bytes came back');
    done.push(address);
  }
  await client.close();
  return done;
}

/** Serves a page with the client package on a host; its address there. A loopback address: browsers trust no other without TLS. */
export async function serveOn(host) {
  const port = await host.evaluate(
    async (path) => {
      globalThis.site ??= await (await import(path)).serve();
      return globalThis.site.port;
    },
    join(import.meta.dirname, '../browser/site.mjs'),
  );
  return `http://127.0.0.1:${port}/`;
}

/** Runs the client package in a browser on the host `browser`, on a page that the same host serves. */
export async function browse({ network, endpoint }, miners, bytes) {
  const host = network.host('browser');
  const site = await serveOn(host);
  const browser = await launch([], { executablePath: host.wrapped(CHROMIUM, network.folder) });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    await page.goto(site);
    return await page.evaluate(inPage, { chain: `${endpoint}/rpc`, miners, bytes });
  } finally {
    await browser.close();
  }
}
