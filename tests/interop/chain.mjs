// The chain's JSON-RPC by plain fetch, and messages signed as in 2019 (spec §1.7, §1.8).

import { encode, fromHex, parseSigned, sealed, signed, toHex, unsigned } from './wire.mjs';

/** What tools of 2019 offered for gas (spec §3.1). */
const [GAS_PRICE, GAS_LIMIT] = [1, 300];
/** How long a message may wait for its block. */
const BLOCK_MS = 30_000;

export class Chain {
  constructor(endpoint) {
    this.endpoint = endpoint;
  }

  async ask(method, params = {}) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(this.endpoint, { method: 'POST', headers, body, signal: AbortSignal.timeout(BLOCK_MS) });
    const { result, error } = await answer.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  /** Asks until there is an answer. */
  async until(method, params) {
    const limit = Date.now() + BLOCK_MS;
    for (;;) {
      const found = await this.ask(method, params);
      if (found !== null) return found;
      if (Date.now() > limit) throw new Error(`${method} has no answer after ${BLOCK_MS} ms`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  /** Has the faucet fill an account. */
  async faucet(key) {
    await this.ask('devnet.faucet', { address: key.text });
    await this.until('chain.actor', { address: key.text });
  }

  /** Sends a message and waits for its block; gives its id, and the channel that its first return value names. */
  async send(key, { to, value, method, params }) {
    const nonce = await this.ask('chain.nonce', { address: key.text });
    const message = sealed(key, {
      to,
      from: key.address,
      nonce: unsigned(nonce),
      value: signed(value),
      method,
      params: encode(params),
      gasPrice: signed(GAS_PRICE),
      gasLimit: unsigned(GAS_LIMIT),
    });
    const pushed = await this.ask('chain.push', { message: toHex(encode(message)) });
    const receipt = await this.until('chain.receipt', { message: pushed.message });
    if (receipt.exitCode !== 0) throw new Error(`${method} ended with ${receipt.exitCode}: ${receipt.error}`);
    return { message: pushed.message, channel: parseSigned(fromHex(receipt.returns[0])) };
  }
}
