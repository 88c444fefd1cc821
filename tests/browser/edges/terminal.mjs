// The suite's client by the edges of the terminal: each call is a run of `sealdrop client … --json`, on a home of its own.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAM } from '../daemon.mjs';
import { Refusal } from './refusal.mjs';

export const name = 'the terminal';

/** Nothing is shared by the clients of one suite. */
export async function start() {
  return { open: async (chain) => new Terminal(chain), end: async () => {} };
}

/** A failed deal whose money is back has nothing to be carried on. */
function unlessFailed(error) {
  if (error.code !== 'deal-failed' && error.code !== 'rejected') throw error;
}

class Terminal {
  #chain;
  #home = mkdtempSync(join(tmpdir(), 'sealdrop-terminal-'));

  constructor(chain) {
    this.#chain = chain;
  }

  /** Runs a command of any group; gives what it printed as JSON. */
  async #run(...words) {
    const child = spawn(PROGRAM, [...words, '--json', '--home', this.#home, '--chain', this.#chain].map(String), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) child[stream].on('data', (part) => (said[stream] += part));
    const code = await new Promise((done, failed) => child.once('error', failed).once('close', done));
    const told = said.stderr
      .trim()
      .split('\n')
      .findLast((line) => line.startsWith('{'));
    // A verification is printed also where it ends with a code of its own.
    if (code !== 0 && said.stdout.trim() === '') {
      if (told === undefined) throw new Error(`sealdrop ${words.join(' ')} ended with ${code}: ${said.stderr}`);
      throw new Refusal(JSON.parse(told));
    }
    return said.stdout.trim() === '' ? undefined : JSON.parse(said.stdout);
  }

  #client = (...words) => this.#run('client', ...words);

  async fund() {
    const { address } = await this.#run('wallet', 'new');
    await this.#run('wallet', 'default', address);
    await this.#run('wallet', 'fund');
    this.address = address;
  }

  /** What the miners say to the question whether they take deals. */
  async answers() {
    return (await this.#client('miners')).map(({ answer }) => answer);
  }

  async store(path, { duration, allowDuplicates = false, rule }) {
    // Named like the page names it, unless a rule is to choose.
    const chosen = rule ? ['--miner-rule', rule] : ['--miner', (await this.#client('list-asks')).asks[0].miner];
    const options = [...(allowDuplicates ? ['--allow-duplicates'] : []), ...chosen];
    const stored = await this.#client('store', path, '--duration', duration, '--until', 'accepted', ...options);
    // By the record's own name: that of the proposal changes when it is begun anew.
    return (await this.deal(stored.deal)).id;
  }

  /** Looks at a file; [`storeChosen`] makes a deal of it later. */
  async choose(path) {
    return (await this.#client('import', path)).dataCid;
  }

  async storeChosen(dataCid, { duration }) {
    const [{ miner, id }] = (await this.#client('list-asks')).asks;
    await this.#client('propose-storage-deal', miner, dataCid, id, duration, '--until', 'accepted');
  }

  async deals() {
    const listed = await this.#client('deals');
    return Promise.all(listed.map(({ deal }) => this.deal(deal)));
  }

  async deal(id) {
    const { payments, ...deal } = await this.#client('show', id);
    return deal;
  }

  payments = async (id) => (await this.#client('show', id)).payments;

  /** Carries a deal on until it is so far; throws why it failed. */
  async until(id, step) {
    await this.#client('resume', id, '--until', step);
  }

  moneyBack = (id) => this.#client('resume', id, '--until', 'staged', '--follow').catch(unlessFailed);
  giveUp = (id) => this.#client('abandon', id);
  retry = (id) => this.#client('retry', id, '--until', 'accepted');

  async verify(id) {
    const { inclusion, commitMessage, commitments, actor, proven } = await this.#client('verify', id);
    const of = ({ verdict, ...check }) => ({ ...check, state: verdict });
    return {
      inclusion: of(inclusion),
      commitMessage: of(commitMessage),
      commitments: of(commitments),
      actor: of(actor),
      proven: of(proven),
    };
  }

  async retrieve(id) {
    const path = join(this.#home, 'back');
    await this.#client('retrieve', id, '-o', path);
    return readFileSync(path);
  }

  async close() {
    rmSync(this.#home, { recursive: true, force: true });
  }
}
