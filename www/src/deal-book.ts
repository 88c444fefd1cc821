// The deal book: every deal that this browser made, the newest first.

import { html } from 'lit';
import type { Deal } from 'sealdrop-client';
import { bytes } from './amounts';
import { shortened } from './copyable';
import { isRefunding } from './payments';
import { dealLink, STORE } from './route';
import { seal } from './seal';
import { session } from './session';
import { STEP_WORDS } from './steps';
import { moment } from './times';
import { View } from './view';

export class DealBook extends View {
  override render() {
    const { deals } = session;
    return html`
      <div class="page-title">
        <h1>Deal book</h1>
        <p>Every deal that this browser made. It is kept here, not on a server.</p>
      </div>
      ${deals === undefined ? html`<p class="empty wait">Opening the deal book…</p>` : deals.length === 0 ? empty() : ledger(deals)}
    `;
  }
}
customElements.define('sd-deal-book', DealBook);

function empty() {
  return html`
    <div class="empty sheet">
      ${seal('molten', undefined, 88)}
      <h2>No deals yet</h2>
      <p>Store a file, and its deal is entered here: what was promised, where it lies, and how often it was proven.</p>
      <p><a class="button" href=${STORE}>Store a file</a></p>
    </div>
  `;
}

function ledger(deals: Deal[]) {
  return html`<ol class="ledger sheet" aria-label="Deals, newest first">${deals.map(entry)}</ol>`;
}

/** One line of the book. */
export function entry(deal: Deal) {
  const look = deal.state === 'failed' ? 'broken' : deal.state === 'complete' ? 'sealed' : 'molten';
  const proofs = deal.proving?.proofs ?? 0;
  return html`
    <li class="entry" data-testid="deal-item" data-step=${deal.step} data-state=${deal.state}>
      ${seal(look, deal.proof?.commR, 46)}
      <div class="entry-name">
        <a href=${dealLink(deal.id)}>${deal.name || 'Unnamed file'}</a>
        <span class="note">${bytes(deal.size)} · ${moment(deal.createdAt)} · miner ${shortened(deal.miner)}</span>
      </div>
      <div class="entry-state">
        <span class="state state-${deal.state}">${deal.state === 'failed' ? 'failed' : deal.step}</span>
        <span class="note">
          ${
            deal.state === 'failed'
              ? isRefunding(deal)
                ? 'its money is on its way back'
                : 'see why, and try again'
              : deal.state === 'working'
                ? STEP_WORDS[deal.step].next
                : html`<span data-testid="proof-count">${proofs}</span> ${proofs === 1 ? 'proof' : 'proofs'} of spacetime`
          }
        </span>
      </div>
    </li>
  `;
}
