// The frame of the page: mark, pages, network strip. Decides which page is shown.

import { html, nothing } from 'lit';
import { count } from './amounts';
import { installing } from './installing';
import { takeToken } from './operator-token';
import { type Problem, problemOf } from './problem';
import { ACCOUNT, DEALS, OPERATOR, RECEIPT, type Route, route, STORE } from './route';
import { seal, WAX } from './seal';
import { session } from './session';
import { View } from './view';
import { chooseLanguage, LANGUAGES, type Language, language, t } from './words';

export class App extends View {
  /** The operator's page is loaded when it is first opened. */
  private operator: 'loading' | 'loaded' | Problem | undefined;
  /** Whether the client was begun: the operator's page needs none, nor an account. */
  private begun = false;

  private readonly moved = () => {
    takeToken();
    this.begin();
    void session.follow();
    this.requestUpdate();
    void this.updateComplete.then(() => {
      scrollTo(0, 0);
      this.querySelector<HTMLElement>('main')?.focus({ preventScroll: true });
    });
  };

  private readonly changed = () => this.requestUpdate();

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('hashchange', this.moved);
    installing.addEventListener('change', this.changed);
    this.begin();
  }

  /** Begins what the page needs that is shown. */
  private begin(): void {
    if (route().page === 'operator') this.loadOperator();
    else if (!this.begun) {
      this.begun = true;
      void session.start();
    }
  }

  private loadOperator(): void {
    if (this.operator !== undefined) return;
    this.operator = 'loading';
    import('./operator-page').then(
      () => {
        this.operator = 'loaded';
        this.requestUpdate();
      },
      (error) => {
        const { why } = problemOf('', error);
        this.operator = { what: () => t.app.noOperator, why, next: () => t.app.noOperatorNext };
        this.requestUpdate();
      },
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('hashchange', this.moved);
    installing.removeEventListener('change', this.changed);
  }

  protected override updated(): void {
    // What is shown inside is drawn a moment later.
    requestAnimationFrame(() => {
      const title = this.querySelector('h1')?.textContent?.trim();
      document.title = title ? `${title} · Sealdrop` : 'Sealdrop';
    });
  }

  override render() {
    const here = route();
    const deals = session.deals?.filter((deal) => deal.state === 'working' && deal.partOf === undefined) ?? [];
    const files = session.files.filter((file) => file.progress.state === 'under-way');
    const working = deals.length + files.length;
    return html`
      ${WAX}
      <a class="skip" href="#content" @click=${this.skip}>${t.app.skip}</a>
      <header>
        <p class="devnet">
          ${t.app.devnet(html`<strong>${t.app.devnetName}</strong>`)}
        </p>
        <div class="top">
          <a class="brand" href=${STORE} aria-label=${t.app.home}>
            ${seal('sealed', undefined, 38)}<span>Sealdrop</span>
          </a>
          <nav aria-label=${t.app.pages}>
            <a href=${STORE} aria-current=${here.page === 'store' ? 'page' : nothing}>${t.app.store}</a>
            <a href=${DEALS} aria-current=${here.page === 'deals' ? 'page' : here.page === 'deal' || here.page === 'file' ? 'true' : nothing}>
              ${t.app.book}${working > 0 ? html`<span class="badge" title=${t.app.inProgress(working)}>${working}</span>` : nothing}
            </a>
            <a href=${ACCOUNT} aria-current=${here.page === 'account' ? 'page' : nothing}>${t.app.account}</a>
          </nav>
          ${this.languages()}${here.page === 'operator' ? nothing : this.head()}
        </div>
      </header>
      <main id="content" tabindex="-1">
        ${
          // A receipt is checked without a chain.
          session.problem && here.page !== 'receipt' && here.page !== 'operator'
            ? html`<sd-problem class="page-problem" .problem=${session.problem} .retry=${this.reconnect}></sd-problem>
                ${session.choosing ? nothing : this.otherChain()}`
            : nothing
        }
        ${this.news()}
        ${
          session.notice && here.page !== 'operator'
            ? html`<sd-problem class="page-problem" .problem=${session.notice} .retry=${session.dismiss} .label=${t.app.dismiss}></sd-problem>`
            : nothing
        }
        ${
          here.page === 'operator'
            ? this.operatorPage(here)
            : here.page === 'receipt'
              ? html`<sd-receipt></sd-receipt>`
              : session.choosing
                ? html`<sd-chain></sd-chain>`
                : here.page === 'account'
                  ? html`<sd-account-page></sd-account-page>`
                  : session.locked
                    ? html`<sd-unlock></sd-unlock>`
                    : here.page === 'deal'
                      ? html`<sd-deal .dealId=${here.id}></sd-deal>`
                      : here.page === 'file'
                        ? html`<sd-file .fileId=${here.id}></sd-file>`
                        : here.page === 'deals'
                          ? html`<sd-deal-book></sd-deal-book>`
                          : html`<sd-store></sd-store>`
        }
      </main>
      <footer class="foot">
        <p>
          ${t.app.foot(html`<a href=${ACCOUNT}>${t.app.footBackup}</a>`)} <a href=${RECEIPT}>${t.receipt.title}</a>
          ${session.choice.own === undefined || here.page === 'operator' ? nothing : html`<a href=${OPERATOR} data-testid="to-operator">${t.app.operator}</a>`}
        </p>
      </footer>
    `;
  }

  private operatorPage({ place, of }: Extract<Route, { page: 'operator' }>) {
    if (this.operator === 'loaded') return html`<sd-operator .place=${place} .of=${of}></sd-operator>`;
    if (this.operator === 'loading' || this.operator === undefined)
      return html`<p class="wait" role="status">${t.app.loading}</p>`;
    // A module that was not there once is not asked for again.
    return html`<sd-problem .problem=${this.operator} .retry=${() => location.reload()} .label=${t.app.loadAgain}></sd-problem>`;
  }

  /** A newer build of the page waits. */
  private news() {
    if (!installing.isNew) return nothing;
    return html`<div class="page-news" role="status" data-testid="news">
      <p>${t.app.newVersion}</p>
      <button type="button" class="quiet" data-testid="use-news" @click=${installing.use}>${t.app.useNew}</button>
    </div>`;
  }

  /** A chain that does not answer may be the wrong one. */
  private otherChain() {
    const { chain } = session.choice;
    if (!chain || session.client) return nothing;
    return html`<p class="note page-problem">
      ${t.app.tried(html`<code>${chain}</code>`)}
      <button type="button" class="plain" data-testid="other-chain" @click=${session.chooseAgain}>${t.app.otherChain}</button>
    </p>`;
  }

  private head() {
    const known = session.height !== undefined;
    const broken = session.problem !== undefined;
    return html`
      <p class="head ${broken ? 'head-lost' : known ? 'head-live' : ''}" data-testid="head">
        <i class="pulse" aria-hidden="true"></i>
        ${broken ? t.app.noConnection : session.choosing && !session.client ? t.app.noNetwork : known ? t.app.block(html`<b>${count(session.height ?? 0)}</b>`) : t.app.connecting}
      </p>
    `;
  }

  /** Each language under its own name. */
  private languages() {
    return html`<select class="languages" aria-label=${t.app.language} data-testid="language" @change=${this.speak}>
      ${LANGUAGES.map(({ language: each, name, tag }) => html`<option value=${each} lang=${tag} ?selected=${each === language()}>${name}</option>`)}
    </select>`;
  }

  private readonly speak = (event: Event) => chooseLanguage((event.target as HTMLSelectElement).value as Language);

  private readonly reconnect = () => void (session.client ? session.refresh() : session.start());

  private readonly skip = (event: Event) => {
    event.preventDefault();
    this.querySelector<HTMLElement>('main')?.focus();
  };
}
customElements.define('sd-app', App);
