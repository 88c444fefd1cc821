/**
 * A client's engine, on the page's side: started with the first call, once; a start that failed is tried again with the next call.
 *
 * Whoever listens goes on listening over such starts.
 */

import { DATABASE } from './database.js';
import { SealdropError } from './errors.js';
import { nameAssets } from './host.js';
import { type Engine, Link } from './link.js';
import { abortedError } from './meter.js';
import { isNode } from './node.js';
import { minerOf } from './preparing.js';
import type { Calls } from './protocol.js';
import type { OpenedSigner } from './signers.js';
import type { Account, ClientOptions, Events, RunOptions, StoreChoice } from './types.js';

/** What a browser has to have. */
const NEEDED = ['Worker', 'WebAssembly', 'indexedDB', 'BroadcastChannel'];

type Listener = (value: Events[keyof Events]) => void;

/** An engine that was started. */
interface Running {
  readonly link: Link;
  readonly account: Account;
}

export class OpenedEngine implements Engine {
  readonly miners: string;
  readonly #options: ClientOptions;
  readonly #listeners = new Map<keyof Events, Set<Listener>>();
  readonly #closers = new Set<(reason: SealdropError) => void>();
  #running: Promise<Running> | undefined;
  #closed: SealdropError | undefined;

  constructor(options: ClientOptions) {
    nameAssets(options);
    this.#options = options;
    this.miners = minerOf(options.miners ?? 'cheapest');
  }

  get #store(): StoreChoice {
    return this.#options.store ?? (isNode() ? 'memory' : { database: DATABASE });
  }

  get refersToFiles(): boolean {
    return this.#store === 'memory';
  }

  /** The account, once the engine runs. */
  async account({ signal }: RunOptions = {}): Promise<Account> {
    return (await this.#run(signal)).account;
  }

  async call<M extends keyof Calls>(
    method: M,
    args: Parameters<Calls[M]>,
    options: RunOptions = {},
  ): Promise<Awaited<ReturnType<Calls[M]>>> {
    const { link } = await this.#run(options.signal);
    return link.call(method, args, options);
  }

  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set<Listener>();
    this.#listeners.set(event, listeners);
    const known = listener as Listener;
    listeners.add(known);
    return () => {
      listeners.delete(known);
    };
  }

  whenClosed(listener: (reason: SealdropError) => void): () => void {
    if (this.#closed) {
      listener(this.#closed);
    } else {
      this.#closers.add(listener);
    }
    return () => {
      this.#closers.delete(listener);
    };
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    if (this.#closed) {
      return;
    }
    const reason = new SealdropError('closed', 'the client is closed', 'Make another one.');
    this.#closed = reason;
    const running = await this.#running?.catch(() => undefined);
    try {
      await running?.link.call('close', []);
    } finally {
      running?.link.end(reason);
      for (const listener of this.#closers) {
        listener(reason);
      }
      this.#closers.clear();
    }
  }

  #run(signal: AbortSignal | undefined): Promise<Running> {
    if (this.#closed) {
      return Promise.reject(this.#closed);
    }
    if (signal?.aborted) {
      return Promise.reject(abortedError());
    }
    this.#running ??= this.#start();
    return signal === undefined ? this.#running : unlessAborted(this.#running, signal);
  }

  #start(): Promise<Running> {
    const again = (): void => {
      if (this.#running === running) {
        this.#running = undefined;
      }
    };
    const running = this.#open(again);
    running.catch(again);
    return running;
  }

  async #open(ended: () => void): Promise<Running> {
    const missing = isNode() ? undefined : NEEDED.find((feature) => !(feature in globalThis));
    if (missing !== undefined) {
      throw new SealdropError('unsupported', `there is no ${missing} here`, 'Use a current browser, or Node.js 22.');
    }
    const link = new Link(ended);
    for (const event of ['deal', 'file', 'removed', 'head', 'problem'] as const) {
      link.on(event, (value) => this.#tell(event, value));
    }
    try {
      const { chain: asked, transports, passphrase } = this.#options;
      if (typeof asked !== 'string') {
        link.reachInPage(asked.connect());
      }
      const chain = typeof asked === 'string' ? asked : asked.url;
      const signer = await this.#signer();
      if (signer !== undefined) {
        link.signWith(signer);
      }
      const hasPeers = 'RTCPeerConnection' in globalThis;
      const account = await link.call('open', [
        { chain, store: this.#store, passphrase, signer: signer?.address, hasPeers, transports },
      ]);
      return { link, account };
    } catch (thrown) {
      link.end(new SealdropError('closed', 'the client was not opened'));
      throw thrown;
    }
  }

  async #signer(): Promise<OpenedSigner | undefined> {
    const { signer } = this.#options;
    if (signer === undefined) {
      return undefined;
    }
    const { openSigner } = await import('./signers.js');
    return openSigner(signer);
  }

  #tell<E extends keyof Events>(event: E, value: Events[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      listener(value);
    }
  }
}

/** What `work` gives, unless the signal comes first; the work goes on for others. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortedError());
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
