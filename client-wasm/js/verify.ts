/**
 * Checks Filecoin's proofs in the browser, in a worker of its own: that a replica encodes its data, and that replicas are stored.
 *
 * ```ts
 * import { ProofChecker } from 'sealdrop-client/verify';
 * const { seal, posts } = await client.evidence(deal.id); // of a client, or from wherever you have claims
 * const checker = new ProofChecker();
 * if (seal.claim) console.log(await checker.seal(seal.claim)); // { state: 'holds', milliseconds: 12, key: 'dc8b…' }
 * checker.close();
 * ```
 *
 * Nothing is loaded before the first check: then the module (39 kB compressed) and the verifying key that is needed (4 kB), which the module
 * holds against the digest that is in it. These are the keys of development networks, under which anybody can make proofs: what holds then
 * is that page, chain and miner agree.
 */

import { SealdropError } from './errors.js';
import { type AssetOptions, nameAssets, namedWasmFolder, startWorker } from './host.js';
import type { Problem } from './types.js';
import type { ProofVerdict, SealClaim, WindowPoStClaim } from './verify-types.js';

export { SealdropError } from './errors.js';
export type { AssetOptions } from './host.js';
export type * from './verify-types.js';

/** To the worker. */
export type ToVerifier =
  | { readonly kind: 'start'; readonly wasmUrl: string | undefined }
  | { readonly id: number; readonly kind: 'seal'; readonly claim: SealClaim }
  | { readonly id: number; readonly kind: 'window'; readonly claim: WindowPoStClaim };

/** From the worker. */
export type FromVerifier =
  | { readonly id: number; readonly verdict: ProofVerdict; readonly problem?: never }
  | { readonly id: number; readonly verdict?: never; readonly problem: Problem };

interface Waiting {
  resolve(verdict: ProofVerdict): void;
  reject(error: SealdropError): void;
}

/** Checks proofs until it is closed. */
export class ProofChecker {
  #worker: Worker | undefined;
  #closed = false;
  #last = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(options: AssetOptions = {}) {
    nameAssets(options);
  }

  /** Whether the proof shows that the replica encodes the data. Throws `bad-argument` for a claim that is none. */
  seal(claim: SealClaim): Promise<ProofVerdict> {
    this.#last += 1;
    return this.#ask({ id: this.#last, kind: 'seal', claim });
  }

  /** Whether the proof shows that all the sectors are stored. Throws `bad-argument` for a claim that is none. */
  window(claim: WindowPoStClaim): Promise<ProofVerdict> {
    this.#last += 1;
    return this.#ask({ id: this.#last, kind: 'window', claim });
  }

  /** Ends the worker; checks under way throw `aborted`. */
  close(): void {
    this.#closed = true;
    this.#fail(new SealdropError('aborted', 'the checker was closed'));
  }

  #ask(order: Exclude<ToVerifier, { kind: 'start' }>): Promise<ProofVerdict> {
    if (this.#closed) {
      return Promise.reject(new SealdropError('aborted', 'the checker was closed'));
    }
    this.#worker ??= this.#start();
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      this.#waiting.set(order.id, { resolve, reject });
      worker.postMessage(order);
    });
  }

  #start(): Worker {
    const worker = startWorker(
      'verify-worker.js',
      'sealdrop-verify',
      () => new Worker(new URL('./verify-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-verify' }),
    );
    const start: ToVerifier = { kind: 'start', wasmUrl: namedWasmFolder() };
    worker.postMessage(start);
    worker.onmessage = ({ data }: MessageEvent<FromVerifier>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.verdict) {
        waiting?.resolve(data.verdict);
      } else {
        waiting?.reject(SealdropError.from(data.problem));
      }
    };
    worker.onerror = ({ message }) => {
      this.#fail(new SealdropError('unsupported', `the worker that checks proofs does not run here: ${message ?? ''}`));
    };
    return worker;
  }

  /** Every check that waits fails; the next one starts anew. */
  #fail(error: SealdropError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) {
      reject(error);
    }
    this.#waiting.clear();
  }
}
