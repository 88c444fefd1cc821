/**
 * Several tabs of one page: one of them carries the deals on, all of them show them.
 *
 * The tab whose worker holds the lock leads. When it goes, the browser hands the lock to the next one, which takes the
 * deals up from the store. Orders and changes travel over a BroadcastChannel.
 */

import { problemOf, SealdropError } from './errors.js';
import type { Deal, Problem, StoredFile } from './types.js';

/** How long the tab that leads may take to keep what it was asked for: it may be in the middle of a step. */
const ANSWER_MS = 60_000;

/** What only the tab that leads does with a deal or a file. */
export type TabOrder =
  /** Carry it on from what is stored, or a failed one anew with `draft`. */
  | { readonly kind: 'start'; readonly id: string; readonly draft?: string }
  | { readonly kind: 'giveUp'; readonly id: string }
  /** Keep with a deal that its data came back. */
  | { readonly kind: 'retrieved'; readonly id: string }
  /** Carry a file of several pieces on from what is stored, or no longer when it is gone; with its bytes, where they are not stored. */
  | { readonly kind: 'file'; readonly id: string; readonly blobs?: readonly Blob[] };

/** What tabs tell each other. */
export type TabMessage =
  /** Asked by a tab that does not lead. */
  | { readonly kind: 'order'; readonly call: string; readonly order: TabOrder }
  /** The order is kept, or was refused. */
  | { readonly kind: 'answer'; readonly call: string; readonly problem?: Problem }
  | { readonly kind: 'removed'; readonly id: string }
  | { readonly kind: 'deal'; readonly view: Deal }
  | { readonly kind: 'file'; readonly view: StoredFile }
  | { readonly kind: 'fileRemoved'; readonly id: string };

interface Asked {
  readonly resolve: () => void;
  readonly reject: (error: SealdropError) => void;
}

/** This worker's place among the tabs. */
export class Tabs {
  readonly #channel: BroadcastChannel;
  readonly #end = new AbortController();
  readonly #asked = new Map<string, Asked>();
  readonly #perform: (order: TabOrder) => Promise<void>;
  #leads = false;

  /**
   * Joins. `lead` is called once, when this worker becomes the one that carries deals on; `perform` from then on for every
   * order, and resolves when it is kept; `hear` for what other tabs tell.
   */
  constructor(
    name: string,
    lead: () => void,
    perform: (order: TabOrder) => Promise<void>,
    hear: (message: TabMessage) => void,
  ) {
    this.#perform = perform;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => {
      if (data.kind === 'order') {
        void this.#answer(data.call, data.order);
      } else if (data.kind === 'answer') {
        this.#settle(data.call, data.problem && SealdropError.from(data.problem));
      } else {
        hear(data);
      }
    };
    const become = (): void => {
      this.#leads = true;
      // Whoever was asked is gone: what was asked is done here.
      this.#settleAll();
      lead();
    };
    // Outside of secure contexts there are no locks; then every tab leads, which is right for a single one.
    if (!('locks' in navigator)) {
      become();
      return;
    }
    const signal = this.#end.signal;
    const held = (): Promise<void> => {
      become();
      return new Promise((release) => signal.addEventListener('abort', () => release()));
    };
    navigator.locks.request(name, { signal }, held).catch(() => undefined);
  }

  get leads(): boolean {
    return this.#leads;
  }

  tell(message: TabMessage): void {
    this.#channel.postMessage(message);
  }

  /** Has an order performed where deals are carried on; resolves when it is kept there. */
  async order(order: TabOrder): Promise<void> {
    while (!this.#leads) {
      const isKept = await this.#ask(order);
      if (isKept) {
        return;
      }
    }
    await this.#perform(order);
  }

  /** Asks the tab that leads; false when this one leads since. */
  async #ask(order: TabOrder): Promise<boolean> {
    const call = crypto.randomUUID();
    const answered = new Promise<void>((resolve, reject) => this.#asked.set(call, { resolve, reject }));
    const late = setTimeout(() => this.#settle(call, unanswered()), ANSWER_MS);
    this.tell({ kind: 'order', call, order });
    try {
      await answered;
    } finally {
      clearTimeout(late);
    }
    return !this.#leads;
  }

  async #answer(call: string, order: TabOrder): Promise<void> {
    if (!this.#leads) {
      return;
    }
    try {
      await this.#perform(order);
      this.tell({ kind: 'answer', call });
    } catch (thrown) {
      this.tell({ kind: 'answer', call, problem: problemOf(thrown) });
    }
  }

  #settle(call: string, error?: SealdropError): void {
    const asked = this.#asked.get(call);
    this.#asked.delete(call);
    if (error === undefined) {
      asked?.resolve();
    } else {
      asked?.reject(error);
    }
  }

  #settleAll(): void {
    for (const call of this.#asked.keys()) {
      this.#settle(call);
    }
  }

  leave(): void {
    this.#leads = false;
    this.#end.abort();
    this.#channel.close();
  }
}

/** The tab that leads may hang, or may just be closing: its deals go to another one then. */
function unanswered(): SealdropError {
  return new SealdropError(
    'busy',
    `the tab that carries the deals on did not answer within ${ANSWER_MS / 1000} seconds`,
    'Look at the deal again in a moment: whether it was done shows there. If it was not, close the other tabs and try again.',
  );
}
