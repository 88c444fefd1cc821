// The terms for somebody who never heard of any of it: what it costs, how long it takes, how long it is kept, in sentences. Said before
// anything is paid.

import { html, nothing } from 'lit';
import type { Deal, MinerInfo, Step } from 'sealdrop-client';
import { fil } from './amounts';
import { session } from './session';
import { blocksAsTime, span } from './times';
import { t } from './words';
import { day } from './words/numbers';

/** What is agreed to. */
export interface PlainTerms {
  readonly price: bigint;
  /** Whether it is what all deals may cost together, and may be less. */
  readonly atMost: boolean;
  readonly miner: MinerInfo;
  /** Blocks. */
  readonly duration: number;
}

export function plainTerms({ price, atMost, miner, duration }: PlainTerms) {
  const { network } = session;
  if (!network) return nothing;
  const { blockTimeMs, policy } = network;
  const kept = blocksAsTime(duration, blockTimeMs);
  const words = t.terms.plain;
  const free = price === 0n;
  const cost = free ? words.free(kept) : atMost ? words.priceAtMost(fil(price), kept) : words.price(fil(price), kept);
  const sealing = usualTime(session.deals ?? [], miner.address, 'transferred', 'complete');
  const sentences = [
    free ? cost : html`${cost} <span class="note">${words.noValue}</span>`,
    free ? undefined : words.setAside,
    sealing === undefined ? words.sealedUnknown : words.sealed(span(sealing)),
    policy.provingPeriod > 0 ? words.proven(blocksAsTime(policy.provingPeriod, blockTimeMs)) : undefined,
    words.ends(day(Date.now() + duration * blockTimeMs)),
    words.keepOpen,
  ];
  return html`
    <section class="plain-terms" aria-labelledby="plain-title" data-testid="plain-terms">
      <h3 id="plain-title">${words.title}</h3>
      <ul>${sentences.filter((each) => each !== undefined).map((each) => html`<li>${each}</li>`)}</ul>
    </section>
  `;
}

/** The middle of the times that a miner took from one step to another in earlier deals of this browser, in ms. */
export function usualTime(deals: readonly Deal[], miner: string, from: Step, to: Step): number | undefined {
  const times = deals
    .filter((deal) => deal.miner === miner)
    .map((deal) => (reachedAt(deal, to) ?? NaN) - (reachedAt(deal, from) ?? NaN))
    .filter((time) => time > 0)
    .sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)];
}

/** When a deal came to a step. */
export function reachedAt(deal: Deal, step: Step): number | undefined {
  return deal.steps.find((record) => record.step === step)?.at;
}
