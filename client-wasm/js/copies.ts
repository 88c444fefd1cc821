/** A piece from one of the miners that have it: the one that is furthest first, and the next one when it fails. */

import { problemOf, SealdropError } from './errors.js';
import type { Deal, Problem } from './types.js';

/** Steps from which on a miner has the whole piece, the best first. */
const HOLDS: readonly Deal['step'][] = ['proven', 'complete', 'sealing', 'staged', 'transferred'];

/** A deal about a piece: its state for the Rust module, and how it is. */
export interface Holder {
  readonly state: string;
  readonly view: Deal;
}

/** The deals whose miners have the whole piece, the best first. */
export function holders(deals: readonly Holder[]): Holder[] {
  const place = ({ view }: Holder): number => HOLDS.indexOf(view.step);
  const copies = deals.filter((deal) => place(deal) >= 0 && deal.view.state !== 'failed');
  return copies.sort((a, b) => place(a) - place(b));
}

/** The piece that `deals` are about. `fetch` gets it from a deal's miner, checked; `onBytes` is told when it begins anew. */
export async function fetchFromAny(
  deals: readonly Holder[],
  fetch: (state: string) => Promise<Blob>,
  onBytes: (done: number) => void,
): Promise<Blob> {
  const failures: Problem[] = [];
  for (const { state } of holders(deals)) {
    try {
      return await fetch(state);
    } catch (thrown) {
      const problem = problemOf(thrown);
      if (problem.code === 'aborted') {
        throw thrown;
      }
      onBytes(0);
      failures.push(problem);
    }
  }
  const [first] = failures;
  if (first === undefined) {
    throw new SealdropError(
      'not-stored-yet',
      'no miner has this piece yet',
      'Wait until its deal has come as far as the transfer.',
    );
  }
  const message = failures.map((problem) => problem.message).join('; ');
  throw SealdropError.from({ ...first, message });
}
