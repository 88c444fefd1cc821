/** Why a deal is not forgotten yet, in words. Whether nothing is lost with it says the Rust module. */

import { SealdropError } from './errors.js';
import type { Deal } from './types.js';

/** Throws `busy` for a deal that is under way, and `refund-pending` while money of it may still come. */
export function refuseToForget(deal: Deal, forgettable: boolean): void {
  if (forgettable) {
    return;
  }
  if (deal.state === 'working') {
    throw new SealdropError(
      'busy',
      'this deal is under way',
      'Wait until it is complete or has failed, or give it up.',
    );
  }
  throw refundPending(deal);
}

/** Why a deal of which money may still come is not forgotten. */
function refundPending({ refunds, refunding }: Deal): SealdropError {
  const pending = refunds.find((refund) => refund.state !== 'returned');
  if (pending !== undefined) {
    const until = pending.until === undefined ? '' : `, from block ${pending.until} on`;
    return new SealdropError(
      'refund-pending',
      `${pending.amount} FIL of this deal are still on their way back to the account`,
      `They come by themselves while this page is open${until}; forgotten, they would be lost. Then forget the deal.`,
    );
  }
  return new SealdropError(
    'refund-pending',
    refunding
      ? 'a payment channel of this deal may just be opening, with the whole price in it'
      : 'what the miner does not redeem of this deal comes back when its payment channel has ended',
    'It comes by itself while this page is open; forgotten, it would be lost. Then forget the deal.',
  );
}
