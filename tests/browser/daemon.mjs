// A real daemon for the tests: 2 KiB sectors and fast blocks unless said otherwise, free ports and a directory of its own.

import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePorts } from './ports.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
export const PROGRAM = process.env.SEALDROP_BIN ?? join(ROOT, 'target/quick/sealdrop');
/** The same with proofs that are fake, and named so: many sectors take no time to seal. */
export const FAKE = process.env.SEALDROP_FAKE_BIN ?? join(dirname(PROGRAM), 'killable-daemon');
const WEB = process.env.SEALDROP_WEB ?? join(ROOT, 'www/dist');
const CLIENT = process.env.SEALDROP_CLIENT ?? join(ROOT, 'client-wasm/dist');
const PARAMS = process.env.SEALDROP_PARAMS ?? join(homedir(), '.sealdrop/params');

/** It may have to generate the proof parameters first. */
const READY_MS = 600_000;

export class Daemon {
  /** Starts one and waits until its miner takes deals: on a chain of its own, or on that of the daemon that it `joins`. */
  static async start(
    options = [],
    { sectorSize = '2KiB', blockTime = '250ms', program = PROGRAM, joins, hasHttp = true } = {},
  ) {
    const daemon = new Daemon();
    daemon.program = program;
    daemon.joins = joins;
    daemon.hasHttp = hasHttp;
    daemon.size = ['--sector-size', sectorSize, ...(joins ? [] : ['--block-time', blockTime])];
    daemon.home = mkdtempSync(join(tmpdir(), 'sealdrop-browser-'));
    const [p2p, ws, chain, web, http] = await freePorts(5);
    daemon.ports = { p2p, ws, chain, web, http };
    daemon.options = options;
    try {
      await daemon.startAgain();
    } catch (error) {
      await daemon.end();
      throw error;
    }
    return daemon;
  }

  get page() {
    return `http://127.0.0.1:${this.ports.web}/`;
  }

  /** Where pieces and blocks are given to everybody. */
  get http() {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  get chain() {
    return this.joins?.chain ?? `http://127.0.0.1:${this.ports.chain}/rpc`;
  }

  get log() {
    return readFileSync(join(this.home, 'log'), 'utf8');
  }

  /** Starts it again, on the same data and ports. */
  async startAgain() {
    const { ports } = this;
    const log = openSync(join(this.home, 'log'), 'a');
    const args = ['daemon', '--home', this.home, '--params', PARAMS, ...this.size];
    args.push(...(this.joins ? ['--chain', this.chain] : ['--chain-port', ports.chain]), '--web-port', ports.web);
    if (this.hasHttp && !this.options.includes('--http-listen')) args.push('--http-port', ports.http);
    // Whoever says where it listens says it all.
    if (!this.options.includes('--p2p-listen')) args.push('--p2p-port', ports.p2p, '--p2p-ws-port', ports.ws);
    args.push('--web', WEB, '--client', CLIENT, ...this.options);
    const child = spawn(this.program, args.map(String), { stdio: ['ignore', log, log] });
    closeSync(log);
    this.child = child;
    this.ended = new Promise((done) => child.once('exit', done).once('error', done));
    let over = false;
    void this.ended.then(() => (over = true));
    const limit = Date.now() + READY_MS;
    while (!(await this.isReady())) {
      if (over) throw new Error(`the daemon ended by itself:\n${this.log}`);
      if (Date.now() > limit) throw new Error(`the daemon is not ready after ${READY_MS / 1000} s:\n${this.log}`);
      await pause(200);
    }
  }

  async isReady() {
    try {
      const miners = await this.ask('chain.miners');
      const page = await fetch(this.page, { signal: AbortSignal.timeout(20_000) });
      // With those that were there before it.
      const least = 1 + (this.joins?.miners ?? 0);
      this.miners = miners.filter((miner) => miner.asks.length > 0).length;
      return page.ok && this.miners >= least;
    } catch {
      return false;
    }
  }

  /** Asks its chain. */
  async ask(method, params = {}) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(this.chain, { method: 'POST', headers, body, signal: AbortSignal.timeout(20_000) });
    const { result, error } = await answer.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  /** How its miner is doing, as the operator sees it. */
  async status() {
    const { read } = JSON.parse(readFileSync(join(this.home, 'operator.token'), 'utf8'));
    const headers = { authorization: `Bearer ${read}` };
    const signal = AbortSignal.timeout(20_000);
    const answer = await fetch(new URL('api/v1/miner/status', this.page), { headers, signal });
    return answer.json();
  }

  /** Runs a command of the operator: it finds the daemon by its home. */
  async operate(...words) {
    await promisify(execFile)(PROGRAM, [...words, '--home', this.home]);
  }

  /** Ends it at once, as a power cut would. */
  async kill() {
    this.child?.kill('SIGKILL');
    await this.ended;
    this.child = undefined;
  }

  /** Ends it for good. */
  async end() {
    await this.kill();
    rmSync(this.home, { recursive: true, force: true });
  }
}
