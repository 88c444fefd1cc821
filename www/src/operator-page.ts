// The operator's page: who asks, whether the daemon answers, and the page that the address names. Loaded when it is first opened.
//
// Hooks for tests (data-testid): operator (data-standing, data-scope) · token-form · token-input · token-use · token-forget · line · verdict
// (data-verdict) · finding (data-weight) · the orders: mining-start · mining-stop · seal-now · mine-once · add-piece · retry-ID · give-up-ID · redeem · webhook-test ·
// each with -yes, -no and -said where it asks · job · phase (data-phase, data-count) · sector (data-sector, data-phase) · sector-detail · why ·
// window (data-kind) · deal (data-deal) · deal-detail · redeem-preview · preview · earnings · channel · machine · service · peer · address · log-line
// (data-level) · log-filter · log-level · setting-KEY · settings-save · settings-discard · settings-said.

import { html, nothing } from 'lit';
import './operator-order';
import './operator-home';
import './operator-sectors';
import './operator-proofs';
import './operator-deals';
import './operator-earnings';
import './operator-machine';
import './operator-peers';
import './operator-log';
import './operator-settings';
import { count } from './amounts';
import { operator } from './operator-state';
import { mayBeToken } from './operator-token';
import { verdictOf } from './operator-verdict';
import { at } from './operator-view';
import { problemOf } from './problem';
import { sentence } from './problem-box';
import { OPERATOR, type OperatorPlace, operatorLink } from './route';
import { seal } from './seal';
import { moment, span } from './times';
import { View } from './view';
import { spoken } from './words';
import { o } from './words/operator';

const PLACES: readonly OperatorPlace[] = [
  'home',
  'sectors',
  'proofs',
  'deals',
  'earnings',
  'machine',
  'peers',
  'log',
  'settings',
];

export class OperatorPage extends View {
  static override properties = { place: {}, of: {} };
  declare place: OperatorPlace;
  /** The sector or deal that is shown. */
  declare of: string | undefined;
  private malformed = false;
  /** The page that the row of pages was moved for. */
  private seen: OperatorPlace | undefined;

  protected override sources(): readonly EventTarget[] {
    return [operator, spoken];
  }

  protected override ticks(): boolean {
    return true;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('hashchange', this.opened);
    operator.open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('hashchange', this.opened);
    operator.close();
  }

  /** On a phone the pages stand in a row that is wider than the screen. */
  protected override updated(): void {
    const shown = this.querySelector<HTMLElement>('.op-places a[aria-current]');
    if (!shown || this.seen === this.place) return;
    this.seen = this.place;
    const row = shown.parentElement;
    if (row) row.scrollLeft = shown.offsetLeft - (row.clientWidth - shown.offsetWidth) / 2;
  }

  /** A link may have brought another token. */
  private readonly opened = () => operator.open();

  override render() {
    const { standing, scope } = operator;
    const isOut = standing === 'no-token' || standing === 'refused';
    return html`
      <div class="operator ${standing === 'live' ? '' : 'operator-old'}" data-testid="operator" data-standing=${standing} data-scope=${scope ?? ''}>
        ${isOut ? this.form(standing === 'refused') : this.page()}
      </div>
    `;
  }

  private form(isRefused: boolean) {
    return html`
      <form class="sheet chain-form op-token" aria-labelledby="token-title" data-testid="token-form" @submit=${this.submit}>
        ${seal('molten', undefined, 64)}
        <h1 id="token-title">${o.token.title}</h1>
        <p>${o.token.lead}</p>
        ${isRefused ? html`<p class="op-token-no" role="alert" data-testid="token-refused">${sentence(o.token.refused)}</p>` : nothing}
        <p>${o.token.how(html`<code>sealdrop token show</code>`)}</p>
        <label class="field">${o.token.label}
          <input name="token" type="password" required maxlength="512" autocomplete="off" spellcheck="false" autocapitalize="none" data-testid="token-input"
            aria-invalid=${this.malformed ? 'true' : nothing} aria-describedby="token-note" />
        </label>
        ${this.malformed ? html`<p class="op-token-no" role="alert">${o.token.malformed}</p>` : nothing}
        <div class="row"><button type="submit" class="button" data-testid="token-use">${o.token.use}</button></div>
        <p class="note" id="token-note">${o.token.kept}</p>
      </form>
    `;
  }

  private page() {
    const mining = operator.get('mining');
    return html`
      <div class="op-head">
        <div>
          <h1>${this.place === 'home' ? o.title : o.places[this.place]}</h1>
          <p class="note">${mining ? html`<sd-copyable .value=${mining.address} .label=${o.address} short></sd-copyable>` : '…'}</p>
        </div>
        <div class="op-who">
          <span class="note">${operator.scope ? o.scopes[operator.scope] : nothing}</span>
          <button type="button" class="plain" data-testid="token-forget" @click=${this.leave}>${o.token.forget}</button>
        </div>
      </div>
      <nav class="op-places" aria-label=${o.pages}>
        ${PLACES.map((place) => html`<a href=${operatorLink(place)} aria-current=${place === this.place ? (this.of === undefined ? 'page' : 'true') : nothing}>${o.places[place]}</a>`)}
      </nav>
      ${this.line(mining?.height)}
      ${operator.standing === 'live' && operator.failed !== undefined ? html`<sd-problem class="page-problem" .problem=${problemOf(() => o.unread, operator.failed)}></sd-problem>` : nothing}
      <div class="op-content">${this.content()}</div>
    `;
  }

  /** Whether what is shown holds now. */
  private line(height: number | undefined) {
    const { standing, asOf, retryAt, problem } = operator;
    if (standing === 'away') {
      const left = retryAt === undefined ? 0 : Math.max(0, retryAt - Date.now());
      return html`
        <div class="op-line op-away" data-testid="line">
          <sd-problem calm .problem=${problemOf(() => (asOf === undefined ? o.line.away : o.line.awayAsOf(moment(asOf))), problem ?? '')} .retry=${operator.tryNow} .label=${o.line.tryNow}></sd-problem>
          <p class="note">${left < 1000 ? o.line.trying : o.line.again(span(left))}</p>
        </div>
      `;
    }
    const isLive = standing === 'live';
    const { verdict } = verdictOf({ isLive, mining: operator.heard('mining'), isWhole: operator.failed === undefined });
    return html`
      <p class="op-line ${verdict === 'well' ? 'link-up' : ''}" data-testid="line">
        <i class="pulse" aria-hidden="true"></i>
        <span role="status">${isLive ? o.line.live : o.line.connecting}</span>
        ${isLive && height !== undefined ? html`<span class="num">${o.block(count(height))}</span>` : nothing}
        ${isLive && asOf !== undefined ? html`<span class="note">${o.line.heard(at(asOf))}</span>` : nothing}
      </p>
    `;
  }

  private content() {
    switch (this.place) {
      case 'sectors':
        return html`<sd-op-sectors .of=${this.of}></sd-op-sectors>`;
      case 'proofs':
        return html`<sd-op-proofs></sd-op-proofs>`;
      case 'deals':
        return this.of === undefined
          ? html`<sd-op-deals></sd-op-deals>`
          : html`<sd-op-deal .of=${this.of}></sd-op-deal>`;
      case 'earnings':
        return html`<sd-op-earnings></sd-op-earnings>`;
      case 'machine':
        return html`<sd-op-machine></sd-op-machine>`;
      case 'peers':
        return html`<sd-op-peers></sd-op-peers>`;
      case 'log':
        return html`<sd-op-log></sd-op-log>`;
      case 'settings':
        return html`<sd-op-settings></sd-op-settings>`;
      default:
        return html`<sd-op-home></sd-op-home>`;
    }
  }

  private readonly submit = (event: Event) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const token = String(new FormData(form).get('token') ?? '').trim();
    this.malformed = !mayBeToken(token);
    if (this.malformed) return this.requestUpdate();
    form.reset();
    operator.use(token);
  };

  private readonly leave = () => {
    operator.forget();
    location.hash = OPERATOR;
  };
}
customElements.define('sd-operator', OperatorPage);
