// The ways from browser to miner that are measured: plain connections, and the product with one transport each. The product of before is
// a folder with another build of it.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Daemon, PROGRAM } from '../../browser/daemon.mjs';
import { serve } from '../../browser/site.mjs';
import * as inPage from './page.mjs';

const CLIENT = process.env.SEALDROP_CLIENT ?? join(import.meta.dirname, '../../../client-wasm/dist');

/** Sectors that take the file, blocks as fast as they may be, and nothing to pay: only the transfer is measured. */
const DAEMON = { sectorSize: '512MiB', blockTime: '200ms' };
const OPTIONS = ['--auto-seal', '200ms', '--price', '0', '--proving-period', '100000', '--challenge-window', '50000'];

/** Longest that anything may take. */
const LIMIT_MS = 300_000;

/** What comes of `work`, or an error when that takes too long: a function in a page has no limit of its own. */
export async function within(work) {
  let timer;
  const late = new Promise((_, failed) => {
    timer = setTimeout(() => failed(new Error(`nothing after ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Where a miner with one transport listens. */
const LISTEN = {
  websocket: '/ip4/127.0.0.1/tcp/0/ws',
  webtransport: '/ip4/127.0.0.1/udp/0/quic-v1/webtransport',
  webrtc: '/ip4/127.0.0.1/udp/0/webrtc-direct',
};
/** What a multiaddr of a transport looks like. */
const FORMS = {
  websocket: /\/tcp\/\d+\/ws(\/p2p\/.*)?$/,
  webtransport: /\/webtransport(\/certhash\/[^/]+)+(\/p2p\/.*)?$/,
  webrtc: /\/webrtc-direct(\/certhash\/[^/]+)+(\/p2p\/.*)?$/,
};

/** The other end of plain connections. */
export class Peer {
  /** Starts it at an address of this machine, or of the host that `start` starts programs on. */
  static async start(program, address = '127.0.0.1', start = spawn) {
    const peer = new Peer();
    peer.child = start(program, ['listen', address], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = await new Promise((done, failed) => {
      createInterface({ input: peer.child.stdout }).once('line', (...lines) => done(lines));
      peer.child.once('error', failed).once('exit', () => failed(new Error(`${program} has ended`)));
    });
    peer.urls = JSON.parse(line);
    return peer;
  }

  end() {
    this.child.stdin.end();
  }
}

/** A plain connection: `work` is its function in the page, `input` what it gets beside direction and size. */
export class Plain {
  constructor(browser, name, work, input) {
    Object.assign(this, { browser, name, work, input });
  }

  async open() {
    this.site = await serve();
    this.page = await this.browser.newPage();
    this.page.setDefaultTimeout(LIMIT_MS);
    await this.page.goto(`http://127.0.0.1:${this.site.port}/`);
  }

  measure(bytes, meter) {
    return measurePlain(this.page, this.work, this.input, bytes, meter);
  }

  async end() {
    await this.page?.close();
    await this.site?.close();
  }
}

/** A file to the miner at `address` and back, by the client package in a page. `child` is the miner's process. */
export async function measureDeal(page, { chain, address, child }, bytes, meter) {
  await page.evaluate(inPage.prepare, { chain, bytes });
  const up = await meter(() => page.evaluate(inPage.store, { address }), child);
  await page.evaluate(inPage.settle, { id: up.id });
  const down = await meter(() => page.evaluate(inPage.retrieve, { id: up.id, bytes }), child);
  // Where its miner gives the piece to everybody.
  return { up, down, piece: up.pieceCid };
}

/** Keeps the client from the miner's HTTP, which is faster than what is measured. */
export function withoutHttp(context) {
  return context.route(/\/(uploads|piece)\/baf/, (route) => route.abort());
}

/** Bytes up and down over a plain connection. */
export async function measurePlain(page, work, input, bytes, meter) {
  const run = (way) => meter(() => page.evaluate(work, { ...input, way, bytes }));
  // What comes first when bytes go up is the answer at their end.
  return { up: { ...(await run('up')), first: undefined }, down: await run('down') };
}

/** The product with one transport: a daemon whose proofs are fake, and a page with the client package. */
export class Product {
  constructor(browser, name, { transport, folder, http = false }) {
    Object.assign(this, { browser, name, transport, http });
    // The version before chooses no transport: it has one.
    this.options = folder ? [] : ['--p2p-listen', LISTEN[transport]];
    this.program = join(folder ? join(folder, 'target/release') : dirname(PROGRAM), 'killable-daemon');
    // Nor does it serve pieces over HTTP.
    this.hasHttp = folder === undefined;
    this.client = folder ? join(folder, 'client-wasm/dist') : CLIENT;
  }

  /** Starts it; throws when it has no such transport, or is not built. */
  async open() {
    for (const path of [this.program, this.client])
      if (!existsSync(path)) throw new Error(`${path} is missing: build it`);
    this.daemon = await Daemon.start([...OPTIONS, ...this.options], {
      ...DAEMON,
      program: this.program,
      hasHttp: this.hasHttp,
    });
    const [miner] = await this.daemon.ask('chain.miners');
    this.miner = miner.address;
    // It says where it listens when it starts.
    const addresses = [...this.daemon.log.matchAll(/^Host +(\S+)/gm)].map(([, address]) => address);
    if (!addresses.some((address) => FORMS[this.transport].test(address)))
      throw new Error(`the miner has no address of this transport: ${addresses}`);
    this.site = await serve({ client: this.client });
    this.page = await this.newPage();
  }

  async newPage() {
    const context = await this.browser.newContext();
    if (!this.http) await withoutHttp(context);
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    await page.goto(`http://127.0.0.1:${this.site.port}/`);
    return page;
  }

  measure(bytes, meter) {
    return measureDeal(
      this.page,
      { chain: this.daemon.chain, address: this.miner, child: this.daemon.child },
      bytes,
      meter,
    );
  }

  /** So many pages store a file each, all at the same time: bytes in the milliseconds from the first one's start to the last one's end. */
  async crowd(pages, bytes) {
    const all = await Promise.all(Array.from({ length: pages }, () => this.newPage()));
    try {
      // One after the other: hashing takes every core.
      for (const page of all) await page.evaluate(inPage.prepare, { chain: this.daemon.chain, bytes });
      const stored = await Promise.all(all.map((page) => page.evaluate(inPage.store, { address: this.miner })));
      const begun = Math.min(...stored.map(({ accepted }) => accepted));
      const ended = Math.max(...stored.map(({ accepted, ms }) => accepted + ms));
      return { ms: ended - begun, bytes: pages * bytes };
    } finally {
      await Promise.all(all.map((page) => page.context().close()));
    }
  }

  async end() {
    await this.page?.context().close();
    await this.site?.close();
    await this.daemon?.end();
  }
}
