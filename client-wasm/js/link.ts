/** The page's side of the network worker: calls out, answers and events in. */

import { withAmounts } from './amounts.js';
import { problemOf, SealdropError } from './errors.js';
import { namedWasmFolder, startWorker } from './host.js';
import { abortedError, Meter } from './meter.js';
import type { Peers } from './peers.js';
import type { Calls, FromNetwork, ToNetwork } from './protocol.js';
import type { OpenedSigner } from './signers.js';
import type { Events, RunOptions } from './types.js';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: SealdropError) => void;
  readonly meter: Meter;
}

/** Whoever answers what the network worker answers. */
export interface Caller {
  call: Link['call'];
}

/** A client's engine, as those see it who work with it. */
export interface Engine extends Caller {
  /** Whom files are stored with where nobody is named: an address, or a rule. */
  readonly miners: string;
  /** Whether it holds on to the files that it is handed, rather than copies of its own. */
  readonly refersToFiles: boolean;
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void;
  /** Calls `listener` once when the client is closed, until the returned function is called. */
  whenClosed(listener: (reason: SealdropError) => void): () => void;
}

type Listener = (value: Events[keyof Events]) => void;

/** A running network worker. */
export class Link {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<keyof Events, Set<Listener>>();
  /** Signs for the account, where its key is elsewhere. */
  #signer: OpenedSigner | undefined;
  #forgetSigner: () => void = () => undefined;
  /** Connections over WebRTC, where there are any. */
  #peers: Promise<Peers> | undefined;
  #next = 1;
  readonly #whenEnded: () => void;
  #ended: SealdropError | undefined;

  /** `ended` is called when the worker is gone, for whatever reason. */
  constructor(ended: () => void = () => undefined) {
    this.#whenEnded = ended;
    this.#worker = startWorker(
      'network-worker.js',
      'sealdrop-network',
      () => new Worker(new URL('./network-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-network' }),
    );
    this.#worker.onmessage = (event: MessageEvent<FromNetwork>) => this.#hear(event.data);
    this.#worker.onerror = (event) => {
      this.end(
        new SealdropError(
          'internal',
          `the network worker failed: ${event.message || 'it cannot be loaded'}`,
          'Reload the page.',
        ),
      );
    };
    this.#post({ kind: 'start', wasmUrl: namedWasmFolder() });
  }

  /** Calls a function of the worker. */
  call<M extends keyof Calls>(
    method: M,
    args: Parameters<Calls[M]>,
    options: RunOptions = {},
  ): Promise<Awaited<ReturnType<Calls[M]>>> {
    if (this.#ended) {
      return Promise.reject(this.#ended);
    }
    if (options.signal?.aborted) {
      return Promise.reject(abortedError());
    }
    const id = this.#next++;
    const stop = () => this.#cancel(id);
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, meter: new Meter(options.onProgress) });
      options.signal?.addEventListener('abort', stop, { once: true });
      this.#post({ kind: 'call', id, method, args });
    });
    // A signal may live much longer than the call.
    return answer.finally(() => options.signal?.removeEventListener('abort', stop)) as Promise<
      Awaited<ReturnType<Calls[M]>>
    >;
  }

  /** Has the account's messages signed elsewhere; to be called before `open`. */
  signWith(signer: OpenedSigner): void {
    this.#signer = signer;
    this.#forgetSigner = signer.whenChanged((error) => this.#tell('problem', problemOf(error)));
  }

  /** Gives the worker a way to a network in this page; to be called before `open`. */
  reachInPage(port: MessagePort): void {
    const message: ToNetwork = { kind: 'inPage', port };
    this.#worker.postMessage(message, { transfer: [port] });
  }

  /** Calls `listener` with every event of a kind, until the returned function is called. */
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set<Listener>();
    this.#listeners.set(event, listeners);
    const known = listener as Listener;
    listeners.add(known);
    return () => {
      listeners.delete(known);
    };
  }

  /** Ends the worker; what is under way and what is called later fails with `reason`. */
  end(reason: SealdropError): void {
    this.#ended ??= reason;
    this.#worker.terminate();
    this.#forgetSigner();
    void this.#peers?.then((peers) => peers.close());
    for (const waiting of this.#waiting.values()) {
      waiting.reject(this.#ended);
    }
    this.#waiting.clear();
    this.#whenEnded();
  }

  #post(message: ToNetwork): void {
    this.#worker.postMessage(message);
  }

  #cancel(id: number): void {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      this.#waiting.delete(id);
      this.#post({ kind: 'cancel', id });
      waiting.reject(abortedError());
    }
  }

  #tell(event: keyof Events, value: Events[keyof Events]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      listener(value);
    }
  }

  async #sign({ id, message, typedData }: Extract<FromNetwork, { kind: 'sign' }>): Promise<void> {
    try {
      const signature = await this.#signer?.sign(message, typedData);
      this.#post({ kind: 'signed', id, signature: signature ?? new Uint8Array() });
    } catch (thrown) {
      this.#post({ kind: 'unsigned', id, problem: problemOf(thrown) });
    }
  }

  #hear(message: FromNetwork): void {
    if (message.kind === 'event') {
      this.#tell(message.event, withAmounts(message.value));
      return;
    }
    if (message.kind === 'sign') {
      void this.#sign(message);
      return;
    }
    if (message.kind === 'peer') {
      this.#peers ??= import('./peers.js').then(({ Peers }) => new Peers());
      void this.#peers.then((peers) => this.#ended ?? peers.dial(message.address, message.port));
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) {
      return;
    }
    if (message.kind === 'progress') {
      waiting.meter.report(message.done, message.total);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.kind === 'value') {
      waiting.resolve(withAmounts(message.value));
    } else {
      waiting.reject(SealdropError.from(message.problem, message.cause));
    }
  }
}
