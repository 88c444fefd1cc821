/** A deal or a file that is on its way, followed until it is decided what becomes of it. */

import { SealdropError } from './errors.js';
import type { Engine } from './link.js';
import { abortedError } from './meter.js';
import type { CallOptions, Deal, Problem, StoredFile } from './types.js';

/** What becomes of something; undefined while it goes on. */
export type Outcome = 'stored' | Problem | undefined;

/**
 * What became of a file. With fewer copies than were ordered it is stored all the same: `progress` says so. `declined` is why whoever pays would not
 * sign for a deal of it.
 */
export function outcomeOfFile({ progress, stopped, name }: StoredFile, declined?: Problem): Outcome {
  switch (progress.state) {
    case 'under-way':
      return undefined;
    case 'failed':
      return declined ?? failed(`“${name}” is not kept: ${stopped ?? 'no more deals are made for it'}`);
    case 'abandoned':
      return failed(`“${name}” was given up before all of it was kept`);
    default:
      return 'stored';
  }
}

export function outcomeOfDeal({ state, error, reason, name }: Deal): Outcome {
  switch (state) {
    case 'working':
      return undefined;
    case 'failed':
      return error ?? failed(`the deal about “${name}” failed: ${reason ?? 'nobody said why'}`);
    default:
      return 'stored';
  }
}

function failed(message: string): Problem {
  return { code: 'deal-failed', message, hint: 'What was set aside and not earned comes back by itself.' };
}

/** Follows one of them. */
export class Following<T> {
  readonly #outcome: (news: T) => Outcome;
  readonly #end: Promise<T>;
  readonly #stops: (() => void)[] = [];
  #resolve: (value: T) => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;

  constructor(engine: Engine, outcome: (news: T) => Outcome, { signal }: CallOptions) {
    this.#outcome = outcome;
    this.#end = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // It is awaited later, or never; a rejection until then must not count as unhandled.
    this.#end.catch(() => undefined);
    const stop = () => this.#reject(abortedError());
    if (signal?.aborted) {
      stop();
    }
    signal?.addEventListener('abort', stop, { once: true });
    this.until(() => signal?.removeEventListener('abort', stop));
    this.until(engine.whenClosed((reason) => this.#reject(reason)));
  }

  /** What it came to. Throws why it failed, `aborted`, or `closed`. */
  get end(): Promise<T> {
    return this.#end;
  }

  /** Something is called when nobody follows any more. */
  until(stop: () => void): void {
    this.#stops.push(stop);
  }

  hear(news: T): void {
    const outcome = this.#outcome(news);
    if (outcome === 'stored') {
      this.#resolve(news);
    } else if (outcome !== undefined) {
      this.#reject(SealdropError.from(outcome));
    }
  }

  stop(): void {
    for (const stop of this.#stops) {
      stop();
    }
  }
}
