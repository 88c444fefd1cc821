/**
 * The next deals of all files that are carried on here: asked for one after the other, since each counts for the next, and again a while
 * later where a file could not go on. Which deal comes next is decided in Rust; what is done with it, in `folders.ts`.
 */

import { hex } from './bytes.js';
import type { NextDeal } from './folders.js';
import type { Client } from './wasm/sealdrop_client.js';

/** Milliseconds until a file that could not go on is looked at again, whatever changes meanwhile: miners are asked each time. */
const LATER_MS = 5_000;

/** What this needs of the files. */
export interface PlacingEdges {
  readonly client: Client;
  /** Files that are carried on here. */
  readonly open: ReadonlySet<string>;
  /** Keeps a deal that was drawn up, and carries it on. */
  readonly begin: (id: string, deal: string, turn: Extract<NextDeal, { next: 'deal' }>) => Promise<void>;
  /** No more deals are made for a file, as its record says from now on. */
  readonly stop: (id: string, state: string) => Promise<void>;
  /** A file went on, or is hindered by what was thrown. */
  readonly wentOn: (id: string) => void;
  readonly hindered: (id: string, thrown: unknown) => void;
}

export class Placing {
  readonly #edges: PlacingEdges;
  /** Files that could not go on, and what ends their pause. */
  readonly #paused = new Map<string, ReturnType<typeof setTimeout>>();
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(edges: PlacingEdges) {
    this.#edges = edges;
  }

  /** Resolves when what is being drawn up now is kept. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** Whether no more deals are made here. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Leaves a file alone for a while. */
  tryLater(id: string): void {
    this.goOnNow(id);
    const again = setTimeout(() => {
      this.#paused.delete(id);
      this.poke();
    }, LATER_MS);
    this.#paused.set(id, again);
  }

  goOnNow(id: string): void {
    clearTimeout(this.#paused.get(id));
    this.#paused.delete(id);
  }

  /** Has all next deals drawn up; one after the other, since each counts for the next. */
  poke(): void {
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#running = this.#placeAll().finally(() => {
      this.#running = undefined;
      if (this.#again) {
        this.poke();
      }
    });
  }

  async #placeAll(): Promise<void> {
    const { open, wentOn, hindered } = this.#edges;
    for (const id of [...open]) {
      if (this.#paused.has(id)) {
        continue;
      }
      try {
        await this.#place(id);
        wentOn(id);
      } catch (thrown) {
        // It may have been removed meanwhile.
        if (open.has(id) && !this.#closed) {
          hindered(id, thrown);
        }
      }
    }
  }

  async #place(id: string): Promise<void> {
    const { client, open, begin, stop } = this.#edges;
    while (!this.#closed && open.has(id)) {
      const deal = freshId();
      const turn: NextDeal = await client.nextDeal(id, deal);
      switch (turn.next) {
        case 'rest':
          return;
        case 'wait':
          return this.tryLater(id);
        case 'stop':
          return stop(id, turn.state);
        case 'deal':
          await begin(id, deal, turn);
      }
    }
  }

  /** Does nothing more. */
  close(): void {
    this.#closed = true;
    for (const id of [...this.#paused.keys()]) {
      this.goOnNow(id);
    }
  }
}

/** A new deal's local id. */
export function freshId(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}
