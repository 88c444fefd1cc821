import type { Deals } from './store.js';

/** What tells the deals of this browser apart. */
export async function existingDeals(deals: Deals) {
  return (await deals.deals()).map(({ view: { miner, dataCid, dealCid, state } }) => ({
    miner,
    dataCid,
    dealCid,
    failed: state === 'failed',
  }));
}
