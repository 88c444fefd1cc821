// A wallet of Ethereum (EIP-1193) in a page, with viem's local account for its key: whoever tests is the person before it.

import { EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const viem = createRequire(resolve(import.meta.dirname, '../oracles/package.json'))('viem/accounts');

/** What a wallet throws when its person says no. */
const REFUSED = { code: 4001, message: 'User rejected the request.' };
const UNKNOWN = { code: 4200, message: 'no such method' };

export class Wallet {
  #account = viem.privateKeyToAccount(viem.generatePrivateKey());
  #news = new EventEmitter();
  #prompts = [];
  /** How often its person was asked to sign. */
  asked = 0;

  /** Puts it into a page, as `ethereum`; to be called before the page is loaded. */
  async enter(page) {
    await page.exposeFunction('askWallet', (method, params) => this.#answer(method, params));
    await page.addInitScript(() => {
      globalThis.ethereum = {
        async request({ method, params }) {
          const { value, problem } = await globalThis.askWallet(method, params);
          if (problem) throw Object.assign(new Error(problem.message), { code: problem.code });
          return value;
        },
      };
    });
  }

  get address() {
    return this.#account.address.toLowerCase();
  }

  /** What its person is asked next: what is `shown`, and the two buttons. */
  async prompt() {
    while (this.#prompts.length === 0) await once(this.#news, 'prompt');
    return this.#prompts.shift();
  }

  async #answer(method, params) {
    if (method === 'eth_requestAccounts' || method === 'eth_accounts') return { value: [this.#account.address] };
    if (method !== 'eth_signTypedData_v4') return { problem: UNKNOWN };
    const shown = JSON.parse(params[1]);
    this.asked += 1;
    return new Promise((answer) => {
      const confirm = async () => answer({ value: await this.#account.signTypedData(shown) });
      this.#prompts.push({ shown, confirm, refuse: () => answer({ problem: REFUSED }) });
      this.#news.emit('prompt');
    });
  }
}
