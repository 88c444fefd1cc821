// The suite's client by the edges of the browser: the npm package in a real page, each client in a profile of its own.

import { setTimeout as pause } from 'node:timers/promises';
import { launch, ORDER, SOON_MS } from '../page.mjs';
import { Refusal } from './refusal.mjs';

export const name = 'the browser';

/** `page`: where the daemon serves the package. A script's own address is a page with nothing on it. */
export async function start(page) {
  const browser = await launch();
  return {
    /** `older`: a profile that an earlier version was used with on this network. */
    open: async (chain, { older = false } = {}) => {
      // The daemon's page has a policy of trusted types; a dapp's has its own, or none.
      const context = await browser.newContext({ bypassCSP: true });
      context.setDefaultTimeout(SOON_MS);
      const tab = await context.newPage();
      await tab.goto(new URL('client/index.js', page).href);
      const client = new Browser(context, tab);
      if (older) await client.beginAsEarlier(chain);
      await client.begin(chain);
      return client;
    },
    end: () => browser.close(),
  };
}

class Browser {
  #context;
  #tab;

  constructor(context, tab) {
    this.#context = context;
    this.#tab = tab;
  }

  /** Runs `work` on a tab with its client; handed over as text, which a content security policy does not concern. */
  async #on(tab, work, input) {
    const { value, problem } = await tab.evaluate(`(async () => {
      try {
        const value = await (${work})(globalThis.client, ${JSON.stringify(input ?? null)});
        return { value: globalThis.inFil?.(value) ?? value };
      } catch ({ code, message, hint, rejection }) {
        return { problem: { code, message, hint, rejection } };
      }
    })()`);
    if (problem) throw new Refusal(problem);
    return value;
  }

  #run = (work, input) => this.#on(this.#tab, work, input);

  async begin(chain) {
    const open = async (_, chain) => {
      const { computePiece, createClient, formatFil, toBlob } = await import('/client/index.js');
      // Amounts as the terminal prints them.
      const plain = (_, value) => (typeof value === 'bigint' ? formatFil(value) : value);
      const inFil = (value) => value && JSON.parse(JSON.stringify(value, plain));
      Object.assign(globalThis, { computePiece, toBlob, inFil, client: createClient({ chain }) });
      return globalThis.client.wallet.account();
    };
    this.chain = chain;
    Object.assign(this, await this.#run(open, chain));
  }

  /** Leaves what an earlier version kept of a network: a signing key, and no word of what the account is bound to. */
  async beginAsEarlier(chain) {
    const answer = await fetch(chain, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'chain.network', params: {} }),
    });
    const { genesis } = (await answer.json()).result;
    await this.#run(async (_, genesis) => {
      const made = (name, stores) =>
        new Promise((resolve, reject) => {
          const request = indexedDB.open(name, 1);
          request.onupgradeneeded = () => {
            for (const [store, options] of stores) request.result.createObjectStore(store, options);
          };
          Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) });
        });
      const keys = await made('sealdrop', [['keys']]);
      await new Promise((resolve) => {
        const transaction = keys.transaction('keys', 'readwrite');
        transaction.objectStore('keys').add(new Uint8Array(32).fill(7), 'signing');
        transaction.oncomplete = resolve;
      });
      keys.close();
      const by = (keyPath) => ({ keyPath });
      const network = [
        ['deals', by('id')],
        ['files', by('id')],
        ['messages', by('purpose')],
      ];
      (await made(`sealdrop@${genesis}`, network)).close();
    }, genesis);
  }

  fund = () => this.#run((client) => client.wallet.faucet());

  /** What the miners say to the question whether they take deals. */
  answers = () => this.#run(async (client) => (await client.survey('cheapest')).answers);

  async store(path, options) {
    return this.storeChosen(await this.choose(path), options);
  }

  /** Looks at a file; [`storeChosen`] makes a deal of it later. */
  async choose(path) {
    const input = await this.#run(() => {
      const input = document.createElement('input');
      input.type = 'file';
      input.id = `file${document.querySelectorAll('input').length}`;
      document.documentElement.append(input);
      return input.id;
    });
    await this.#tab.setInputFiles(`#${input}`, path);
    await this.#run(async (_, input) => {
      const element = document.getElementById(input);
      element.piece = await globalThis.computePiece(element.files[0]);
    }, input);
    return input;
  }

  storeChosen(input, { duration, allowDuplicates, rule }) {
    const work = async (client, { input, duration, allowDuplicates, rule }) => {
      const { files, piece } = document.getElementById(input);
      const [miner] = await client.miners();
      const order = { prepared: piece, miner: rule ?? miner, duration, allowDuplicates, until: 'ordered' };
      const { id } = await client.store(files[0], order);
      return id;
    };
    return this.#run(work, { input, duration, allowDuplicates, rule });
  }

  deals = () => this.#run((client) => client.deals());
  deal = (id) => this.#run((client, id) => client.deal(id), id);
  payments = (id) => this.#run((client, id) => client.payments(id), id);
  giveUp = (id) => this.#run((client, id) => client.giveUp(id), id);
  retry = (id) => this.#run((client, id) => client.retry(id), id);
  verify = (id) => this.#run((client, id) => client.verify(id).then(({ state, ...checks }) => checks), id);

  /** Waits until a deal is so far; throws why it failed. */
  until(id, step) {
    const isThere = (deal) => {
      if (deal.state === 'failed') throw new Refusal(deal.error);
      return ORDER.indexOf(deal.step) >= ORDER.indexOf(step);
    };
    return this.#watch(id, isThere, step);
  }

  /** Of a deal that failed, or was given up and fails at its next step. */
  moneyBack = (id) =>
    this.#watch(id, ({ state, refunding }) => state === 'failed' && !refunding, 'with its money back');

  async #watch(id, isThere, what) {
    const limit = Date.now() + 10 * SOON_MS;
    for (;;) {
      const deal = await this.deal(id);
      if (isThere(deal)) return;
      if (Date.now() > limit) throw new Error(`the deal is not ${what}: ${JSON.stringify(deal)}`);
      await pause(200);
    }
  }

  /** What this profile keeps of a deal. */
  async stored(id) {
    return this.#run(async (client, id) => {
      const { genesis } = await client.network();
      const done = (request) =>
        new Promise((resolve, reject) =>
          Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }),
        );
      const database = await done(indexedDB.open(`sealdrop@${genesis}`));
      const deal = await done(database.transaction('deals').objectStore('deals').get(id));
      database.close();
      return deal;
    }, id);
  }

  async retrieve(id) {
    const bytes = await this.#run(async (client, id) => {
      const blob = await globalThis.toBlob(client.retrieve(id));
      return Array.from(new Uint8Array(await blob.arrayBuffer()));
    }, id);
    return Buffer.from(bytes);
  }

  /** A client in another tab of the same profile, which does not carry deals on while this one does. */
  async beside(chain = this.chain) {
    const tab = await this.#context.newPage();
    await tab.goto(this.#tab.url());
    const other = new Browser(this.#context, tab);
    await other.begin(chain);
    return other;
  }

  /** Closes this client's tab at once, as a crash of it would. */
  crash = () => this.#tab.close();

  close = () => this.#context.close();
}
