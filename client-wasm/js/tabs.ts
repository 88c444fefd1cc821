/**
 * Several tabs of one page: one of them carries the deals on, all of them show them.
 *
 * The tab whose worker holds the lock leads. When it goes, the browser hands the lock to the next one, which takes the
 * deals up from the store. Orders and changes travel over a BroadcastChannel.
 */

import type { Deal } from './types.js';

/** What tabs tell each other. */
export type TabMessage =
  /** Carry this deal on from what is stored, or anew with `draft`; asked by a tab that does not lead. */
  | { readonly kind: 'start'; readonly id: string; readonly draft?: string }
  /** Give this deal up; asked by a tab that does not lead. */
  | { readonly kind: 'giveUp'; readonly id: string }
  | { readonly kind: 'removed'; readonly id: string }
  | { readonly kind: 'deal'; readonly view: Deal };

/** This worker's place among the tabs. */
export class Tabs {
  readonly #channel: BroadcastChannel;
  readonly #end = new AbortController();
  #leads = false;

  /** Joins; `lead` is called once, when this worker becomes the one that carries deals on. */
  constructor(name: string, lead: () => void, hear: (message: TabMessage) => void) {
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = (event: MessageEvent<TabMessage>) => hear(event.data);
    const become = (): void => {
      this.#leads = true;
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

  leave(): void {
    this.#leads = false;
    this.#end.abort();
    this.#channel.close();
  }
}
