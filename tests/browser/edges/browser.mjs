// The suite's client by the edges of the browser: the npm package in a real page, each client in a profile of its own.

import { setTimeout as pause } from 'node:timers/promises';
import { launch, ORDER, SOON_MS } from '../page.mjs';
import { Refusal } from './refusal.mjs';

export const name = 'the browser';

/** `page`: where the daemon serves the package. A script's own address is a page with nothing on it. */
export async function start(page) {
  const browser = await launch();
  return {
    open: async (chain) => {
      const context = await browser.newContext();
      context.setDefaultTimeout(SOON_MS);
      const tab = await context.newPage();
      await tab.goto(new URL('client/index.js', page).href);
      const client = new Browser(context, tab);
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
        return { value: await (${work})(globalThis.client, ${JSON.stringify(input ?? null)}) };
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
      const { Sealdrop } = await import('/client/index.js');
      globalThis.client = await Sealdrop.open({ chain });
      return globalThis.client.address;
    };
    this.chain = chain;
    this.address = await this.#run(open, chain);
  }

  fund = () => this.#run((client) => client.faucet());

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
    await this.#run(async (client, input) => {
      const element = document.getElementById(input);
      element.piece = await client.prepare(element.files[0]);
    }, input);
    return input;
  }

  storeChosen(input, { duration, allowDuplicates }) {
    const work = async (client, { input, duration, allowDuplicates }) => {
      const { files, piece } = document.getElementById(input);
      const [miner] = await client.miners();
      const { id } = await client.store(files[0], piece, miner, { duration, allowDuplicates });
      return id;
    };
    return this.#run(work, { input, duration, allowDuplicates });
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

  moneyBack = (id) => this.#watch(id, ({ refunding }) => !refunding, 'with its money back');

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
      const blob = await client.retrieve(id);
      return Array.from(new Uint8Array(await blob.arrayBuffer()));
    }, id);
    return Buffer.from(bytes);
  }

  /** A client in another tab of the same profile, which does not carry deals on while this one does. */
  async beside() {
    const tab = await this.#context.newPage();
    await tab.goto(this.#tab.url());
    const other = new Browser(this.#context, tab);
    await other.begin(this.chain);
    return other;
  }

  /** Closes this client's tab at once, as a crash of it would. */
  crash = () => this.#tab.close();

  close = () => this.#context.close();
}
