// The deals of the miner: a list that is searched, and everything about one of them.

import { html, nothing } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import './operator-deal';
import { bytes, fil } from './amounts';
import { shortened } from './copyable';
import { atto } from './operator-amounts';
import { MOST_DEALS, operator } from './operator-state';
import type { DealSummary } from './operator-types';
import { at, name, OperatorView, waiting } from './operator-view';
import { operatorLink } from './route';
import { seal } from './seal';
import { o } from './words/operator';

/** Lines that are shown at once, and so many more each time somebody asks. */
const LINES = 50;

/** What was asked for last, so that it is the same when one comes back from a deal. */
let wanted = { search: '', stage: '' };

export class OperatorDeals extends OperatorView {
  private lines = LINES;

  protected override wants() {
    return ['deals'];
  }

  override render() {
    const deals = operator.get('deals');
    if (!deals) return waiting('deals');
    if (deals.length === 0) {
      return html`<div class="empty sheet">${seal('molten', undefined, 88)}<h2>${o.deals.none}</h2><p>${o.deals.noneMeans}</p></div>`;
    }
    const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...deals].reverse().filter((deal) => isWanted(deal, words));
    const shown = found.slice(0, this.lines);
    return html`
      ${this.search(deals)}
      <p class="note book-found" role="status" data-testid="deals-found">${o.deals.found(found.length, deals.length)} ${deals.length >= MOST_DEALS ? o.deals.newest(MOST_DEALS) : nothing}</p>
      ${
        shown.length > 0
          ? html`<ol class="ledger sheet" aria-label=${o.places.deals}>${repeat(shown, ({ deal }) => deal, line)}</ol>`
          : html`<p class="empty sheet">${o.deals.nothingFound}</p>`
      }
      ${shown.length < found.length ? html`<p class="file-more"><button type="button" class="quiet" @click=${this.more}>${o.showMore(Math.min(LINES, found.length - shown.length))}</button></p>` : nothing}
    `;
  }

  private search(deals: readonly DealSummary[]) {
    const stages = [...new Set(deals.map(({ stage }) => stage))].sort();
    return html`
      <form class="book-search op-search" role="search" aria-label=${o.places.deals} @submit=${(event: Event) => event.preventDefault()}>
        <label class="field">${o.deals.search}
          <input type="search" data-testid="deals-search" placeholder=${o.deals.searchFor} autocomplete="off" spellcheck="false" maxlength="200"
            .value=${wanted.search} @input=${(event: Event) => this.want({ search: (event.target as HTMLInputElement).value })} />
        </label>
        <label class="field">${o.deals.show}
          <select data-testid="deals-stage" @change=${(event: Event) => this.want({ stage: (event.target as HTMLSelectElement).value })}>
            <option value="" ?selected=${wanted.stage === ''}>${o.deals.all}</option>
            ${stages.map((each) => html`<option value=${each} ?selected=${wanted.stage === each}>${stageName(each)}</option>`)}
          </select>
        </label>
      </form>
    `;
  }

  private want(more: Partial<typeof wanted>): void {
    wanted = { ...wanted, ...more };
    this.lines = LINES;
    this.requestUpdate();
  }

  private readonly more = () => {
    this.lines += LINES;
    this.requestUpdate();
  };
}
customElements.define('sd-op-deals', OperatorDeals);

/** A stage in words of the page; one that it does not know as the daemon has it. */
export const stageName = (stage: string): string => (o.states as Readonly<Record<string, string>>)[stage] ?? stage;

/** The look of a deal's stage. */
export const stageLook = (stage: string): string =>
  stage === 'complete' || stage === 'ended'
    ? 'state-complete'
    : stage === 'failed' || stage === 'rejected'
      ? 'state-failed'
      : '';

function isWanted(deal: DealSummary, words: readonly string[]): boolean {
  if (wanted.stage && deal.stage !== wanted.stage) return false;
  const text =
    `${deal.deal} ${deal.piece} ${deal.client} ${deal.stage} ${stageName(deal.stage)} ${deal.sector ?? ''}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function line({ deal, stage, client, size, totalPrice, redeemed, sector, createdAt }: DealSummary) {
  return html`
    <li class="entry op-entry" data-testid="deal" data-deal=${deal}>
      <div class="entry-name">
        <a href=${operatorLink('deals', deal)} title=${deal}><code>${shortened(deal)}</code></a>
        <span class="note">${bytes(size)} · ${o.deals.by(name(shortened(client)))} · ${at(createdAt)}${sector === null ? nothing : html` · ${o.sector(sector)}`}</span>
      </div>
      <div class="entry-state">
        <span class="state ${stageLook(stage)}">${stageName(stage)}</span>
        <span class="note num">${o.of(fil(atto(redeemed)), fil(atto(totalPrice)))}</span>
      </div>
    </li>
  `;
}
