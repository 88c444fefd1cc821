// The deal book: every file and deal of this browser, searched, filtered and sorted. The deals of a file's pieces stand on the file's page.

import { html, nothing } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { reminder } from './account-panel';
import { entries, ORDERS, type Order, STANDINGS, type Standing, type Wanted, wantedOf } from './book-entries';
import { bookLine } from './book-line';
import { folderNames } from './folder-names';
import { STORE } from './route';
import { seal } from './seal';
import { session } from './session';
import { View } from './view';
import { t } from './words';

/** Lines that are shown at once, and so many more each time somebody asks: a long book stays quick. */
const LINES = 50;
const EVERYTHING: Wanted = { search: '', standing: undefined, order: 'newest' };

/** What was asked for last, so that it is the same when one comes back from a deal. */
let wanted = EVERYTHING;
let lines = LINES;

export class DealBook extends View {
  private readonly learnt = () => this.requestUpdate();

  override connectedCallback(): void {
    super.connectedCallback();
    folderNames.addEventListener('change', this.learnt);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    folderNames.removeEventListener('change', this.learnt);
  }

  override render() {
    const { deals } = session;
    return html`
      <div class="page-title">
        <h1>${t.book.title}</h1>
        <p>${t.book.lead}</p>
      </div>
      ${reminder()}
      ${
        deals === undefined
          ? html`<p class="empty wait">${t.common.openingBook}</p>`
          : deals.length + session.files.length === 0
            ? empty()
            : this.book()
      }
    `;
  }

  private book() {
    const all = entries();
    const found = wantedOf(all, wanted);
    const shown = found.slice(0, lines);
    return html`
      ${session.remembered ? html`<p class="note book-away" role="status" data-testid="book-offline">${t.book.offline}</p>` : nothing}
      ${this.search()}
      <p class="note book-found" role="status" data-testid="book-found">${t.book.found(found.length, all.length)}</p>
      ${
        shown.length > 0
          ? html`<ol class="ledger sheet" aria-label=${t.book.list}>${repeat(
              shown,
              ({ key }) => key,
              (entry) => bookLine(entry, wanted.search),
            )}</ol>`
          : html`<div class="empty sheet">
              <p>${t.book.nothingFound}</p>
              <p><button type="button" class="quiet" data-testid="book-clear" @click=${() => this.want(EVERYTHING)}>${t.book.clear}</button></p>
            </div>`
      }
      ${
        shown.length < found.length
          ? html`<p class="file-more"><button type="button" class="quiet" data-testid="book-more" @click=${this.more}>${t.book.more(Math.min(LINES, found.length - shown.length))}</button></p>`
          : nothing
      }
    `;
  }

  private search() {
    const { search, standing, order } = wanted;
    return html`
      <form class="book-search" role="search" aria-label=${t.book.title} @submit=${(event: Event) => event.preventDefault()}>
        <label class="field book-words">${t.book.search}
          <input type="search" data-testid="book-search" placeholder=${t.book.searchFor} autocomplete="off" spellcheck="false" maxlength="200"
            .value=${search} @input=${(event: Event) => this.want({ search: (event.target as HTMLInputElement).value })} />
        </label>
        <label class="field">${t.book.show}
          <select data-testid="book-standing" @change=${(event: Event) => this.want({ standing: ((event.target as HTMLSelectElement).value || undefined) as Standing | undefined })}>
            <option value="" ?selected=${standing === undefined}>${t.book.all}</option>
            ${STANDINGS.map((each) => html`<option value=${each} ?selected=${standing === each}>${t.book[each]}</option>`)}
          </select>
        </label>
        <label class="field">${t.book.sort}
          <select data-testid="book-order" @change=${(event: Event) => this.want({ order: (event.target as HTMLSelectElement).value as Order })}>
            ${ORDERS.map((each) => html`<option value=${each} ?selected=${order === each}>${t.book[each]}</option>`)}
          </select>
        </label>
      </form>
    `;
  }

  private want(more: Partial<Wanted>): void {
    wanted = { ...wanted, ...more };
    lines = LINES;
    if (wanted.search) void folderNames.learn();
    this.requestUpdate();
  }

  private readonly more = () => {
    lines += LINES;
    this.requestUpdate();
  };
}
customElements.define('sd-deal-book', DealBook);

function empty() {
  return html`
    <div class="empty sheet">
      ${seal('molten', undefined, 88)}
      <h2>${t.book.none}</h2>
      <p>${t.book.noneMeans}</p>
      <p><a class="button" href=${STORE}>${t.book.storeOne}</a></p>
    </div>
  `;
}
