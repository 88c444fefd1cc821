// Hosts with addresses of their own on one machine: `test-network` makes the namespaces and routes between them (see its main.rs);
// this starts programs on the hosts, and changes the paths between them.
//
// Where namespaces are forbidden, `Network.start` gives loopback addresses instead (127.0.0.2 and so on): programs on other addresses of
// one host. Paths cannot be changed then, and whatever test needs that says that it was skipped.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROGRAM } from '../browser/daemon.mjs';

const NETWORK = process.env.SEALDROP_TEST_NETWORK ?? join(dirname(PROGRAM), 'test-network');
const AGENT = join(import.meta.dirname, 'agent.mjs');
/** How long a program may take to answer a line. */
const ANSWER_MS = 60_000;

/** A program that answers each line with a line. */
class Conversation {
  constructor(program, args, options) {
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
    this.lines = [];
    this.waiting = [];
    this.ended = new Promise((done) => this.child.once('exit', done).once('error', done));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const next = this.waiting.shift();
      if (next) next.done(line);
      else this.lines.push(line);
    });
    void this.ended.then(() => this.waiting.splice(0).map(({ failed }) => failed(new Error(`${program} has ended`))));
    // Whoever writes to a program that has ended hears of it by the line that does not come.
    this.child.stdin.on('error', () => {});
  }

  line() {
    if (this.lines.length > 0) return Promise.resolve(this.lines.shift());
    return new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error('no answer')), ANSWER_MS);
      const over = (then) => (value) => {
        clearTimeout(timer);
        then(value);
      };
      this.waiting.push({ done: over(done), failed: over(failed) });
    });
  }

  async say(line) {
    this.child.stdin.write(`${line}\n`);
    return this.line();
  }

  async end() {
    this.child.stdin.end();
    await this.ended;
  }
}

/** One host: programs are started on it. */
class Host {
  constructor(name, addresses, prefix) {
    this.name = name;
    this.addresses = addresses;
    /** What stands before a command line so that it runs on this host. */
    this.prefix = prefix;
  }

  get address() {
    return this.addresses[0];
  }

  spawn(program, args, options) {
    const [first, ...rest] = [...this.prefix, program, ...args.map(String)];
    return spawn(first, rest, options);
  }

  /** Runs a program to its end: its exit code and what it said. */
  async run(program, args, options = {}) {
    const child = this.spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const [stdout, stderr] = [child.stdout, child.stderr].map(async (stream) => {
      const parts = [];
      for await (const part of stream) parts.push(part);
      return Buffer.concat(parts).toString();
    });
    const code = await new Promise((done, failed) => child.once('exit', done).once('error', failed));
    return { code, stdout: await stdout, stderr: await stderr };
  }

  /** Runs a function in a Node process on this host; what it keeps in `globalThis` is there the next time. */
  async evaluate(work, input) {
    const [first, ...rest] = [...this.prefix, process.execPath, AGENT];
    this.agent ??= new Conversation(first, rest);
    // One after the other: answers come in the order of questions.
    const answer = this.agent.say(JSON.stringify({ work: `${work}`, input: input ?? null }));
    const { result, error } = JSON.parse(await answer);
    if (error) throw new Error(`on ${this.name}: ${error}`);
    return result;
  }

  /** The path of a program that runs another one on this host: for who starts a program by its path alone. */
  wrapped(program, folder) {
    const path = join(folder, `${this.name}-${program.split('/').at(-1)}`);
    const quoted = [...this.prefix, program].map((word) => `'${word}'`).join(' ');
    writeFileSync(path, `#!/bin/sh\nexec ${quoted} "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  }

  async end() {
    await this.agent?.end();
    this.agent = undefined;
  }
}

/** Several hosts, by name. */
export class Network {
  /** Makes a network of so many hosts; `names` get addresses in their order. */
  static async start(names) {
    if (!existsSync(NETWORK)) throw new Error(`${NETWORK} is missing: run \`cargo build --release\` first`);
    const network = new Network();
    network.folder = mkdtempSync(join(tmpdir(), 'sealdrop-hosts-'));
    try {
      await network.make(names);
    } catch (error) {
      // Forbidden here, or not Linux: addresses of this host, then.
      network.impossible = error.message;
      network.hosts = new Map(names.map((name, i) => [name, new Host(name, [`127.0.0.${i + 2}`], [])]));
    }
    return network;
  }

  async make(names) {
    if (process.platform !== 'linux') throw new Error('network namespaces are only on Linux');
    const addresses = (i) => [`10.77.0.${i + 1}`, `fd77::${(i + 1).toString(16)}`];
    const args = names.map((name, i) => `${name}=${addresses(i)}`);
    const said = [];
    this.router = new Conversation(NETWORK, ['run', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.router.child.stderr?.on('data', (part) => said.push(part));
    this.hosts = new Map();
    for (const [i, name] of names.entries()) {
      const line = await this.router.line().catch(({ message }) => {
        throw new Error(`${message}: ${Buffer.concat(said).toString().trim()}`);
      });
      const [, , namespace] = line.split(' ');
      this.hosts.set(name, new Host(name, addresses(i), [NETWORK, 'enter', namespace]));
    }
    await this.router.line();
  }

  /** Whether paths can be changed; false on loopback addresses. */
  get isReal() {
    return this.impossible === undefined;
  }

  host(name) {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`there is no host ${name}`);
    return host;
  }

  async order(line) {
    if (!this.isReal) throw new Error(`paths cannot be changed here: ${this.impossible}`);
    const answer = await this.router.say(line);
    if (!answer.startsWith('ok')) throw new Error(`${line}: ${answer}`);
    return answer.slice(3);
  }

  /** Every packet from and to a host takes `delayMs` more, and a part of them, `loss` of 1, is lost. */
  path(name, { delayMs = 0, loss = 0 }) {
    return this.order(`path ${name} ${Math.round(delayMs * 1000)} ${Math.round(loss * 1e6)}`);
  }

  /** Nothing goes between a host and each of the others, until `mend`. */
  async cut(name, others = [...this.hosts.keys()]) {
    for (const other of others) if (other !== name) await this.order(`cut ${name} ${other}`);
  }

  async mend(name, others = [...this.hosts.keys()]) {
    for (const other of others) if (other !== name) await this.order(`mend ${name} ${other}`);
  }

  /** Gives a host another address, and takes away those that it has. */
  async move(name, address) {
    await this.order(`move ${name} ${address}`);
    this.host(name).addresses = [address];
  }

  /** What became of packets so far. */
  async count() {
    const [forwarded, lost, cut, nobody, full] = (await this.order('count')).split(' ').map(Number);
    return { forwarded, lost, cut, nobody, full };
  }

  async end() {
    for (const host of this.hosts.values()) await host.end();
    await this.router?.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
