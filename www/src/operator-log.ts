// The end of the daemon's log, and what it writes down.

import { html, nothing } from 'lit';
import { ActingView } from './acting';
import { legible } from './legible';
import { operator } from './operator-state';
import type { Level, LogTail } from './operator-types';
import { at, name, OperatorView, waiting } from './operator-view';
import { sentence } from './problem-box';
import { spoken } from './words';
import { o } from './words/operator';

const LEVELS: readonly Level[] = ['error', 'warn', 'info', 'debug', 'trace'];
/** Lines that are asked for. */
const LINES = 300;
/** Longest line that is shown, in characters. */
const LONGEST = 2_000;

export class OperatorLog extends OperatorView {
  private least: Level = 'info';
  private search = '';
  /** What was shown before. */
  private last: LogTail | undefined;
  /** What is shown while it stands still. */
  private held: LogTail | undefined;

  private get path() {
    return `log?lines=${LINES}&level=${this.least}` as const;
  }

  protected override wants() {
    return [this.path];
  }

  override render() {
    // Of another level there is nothing yet for a moment.
    const tail = this.held ?? operator.get(this.path) ?? this.last;
    this.last = tail;
    if (!tail) return waiting(this.path);
    const search = this.search.toLowerCase();
    const lines = tail.lines
      .filter(({ level }) => LEVELS.indexOf(level) <= LEVELS.indexOf(this.least))
      .filter(({ target, text }) => search === '' || `${target} ${text}`.toLowerCase().includes(search))
      .reverse();
    return html`
      <form class="book-search op-search" role="search" aria-label=${o.places.log} @submit=${(event: Event) => event.preventDefault()}>
        <label class="field">${o.log.search}<input type="search" autocomplete="off" spellcheck="false" maxlength="200" .value=${this.search} @input=${this.look} /></label>
        <label class="field">${o.log.least}
          <select data-testid="log-level" @change=${this.choose}>${LEVELS.map((each) => html`<option value=${each} ?selected=${each === this.least}>${o.log.levels[each]}</option>`)}</select>
        </label>
        <button type="button" class="quiet" data-testid="log-hold" aria-pressed=${this.held !== undefined} @click=${this.hold}>${this.held ? o.log.goOn : o.log.hold}</button>
      </form>
      <p class="note book-found">${o.log.lines(lines.length)} ${this.held ? o.log.held : nothing}</p>
      ${
        lines.length === 0
          ? html`<p class="empty sheet">${o.log.none}</p>`
          : html`<ol class="sheet op-log" tabindex="0" aria-label=${o.places.log} lang="en">
              ${lines.map(
                ({
                  at: when,
                  level,
                  target,
                  text,
                }) => html`<li class="op-log-${level}" data-testid="log-line" data-level=${level}>
                  ${at(when)} <b>${level}</b> <span class="op-target">${name(target, 80)}</span>
                  <bdi>${legible(text.slice(0, LONGEST))}</bdi>
                </li>`,
              )}
            </ol>`
      }
      <sd-op-log-filter .filter=${tail.filter}></sd-op-log-filter>
    `;
  }

  private readonly look = (event: Event) => {
    this.search = (event.target as HTMLInputElement).value;
    this.requestUpdate();
  };

  private readonly choose = (event: Event) => {
    this.least = (event.target as HTMLSelectElement).value as Level;
    this.requestUpdate();
  };

  private readonly hold = () => {
    this.held = this.held ? undefined : operator.get(this.path);
    this.requestUpdate();
  };
}
customElements.define('sd-op-log', OperatorLog);

/** What the daemon writes down from now until it starts again. */
export class LogFilter extends ActingView {
  static override properties = { filter: {} };
  declare filter: string;
  private draft: string | undefined;
  private said = false;

  protected override sources(): readonly EventTarget[] {
    return [operator, spoken];
  }

  override render() {
    const may = operator.may('admin');
    return html`
      <form class="panel op-filter" aria-labelledby="filter-title" @submit=${this.submit}>
        <h2 id="filter-title">${o.log.filter}</h2>
        <p class="note">${o.log.filterMeans(html`<code>sealdrop=debug,warn</code>`)}</p>
        <label class="field">${o.log.filterLabel}
          <input data-testid="log-filter" maxlength="1000" required autocomplete="off" spellcheck="false" autocapitalize="none" ?disabled=${!may}
            .value=${this.draft ?? this.filter} @input=${this.type} />
        </label>
        <div class="row">
          <button type="submit" class="quiet" data-testid="log-filter-set" ?disabled=${!may || this.busy || this.draft === undefined || operator.standing !== 'live'}>${this.busy ? o.doing : o.log.set}</button>
        </div>
        ${may ? nothing : html`<p class="note">${sentence(o.needs.admin)}</p>`}
        <p class="saved" role="status" data-testid="log-filter-said">${this.said ? o.log.isSet : nothing}</p>
        <sd-problem .problem=${this.problem}></sd-problem>
      </form>
    `;
  }

  private readonly type = (event: Event) => {
    const { value } = event.target as HTMLInputElement;
    this.draft = value === this.filter ? undefined : value;
    this.said = false;
    this.requestUpdate();
  };

  private readonly submit = (event: Event) => {
    event.preventDefault();
    const filter = this.draft?.trim();
    if (!filter) return;
    void this.act(
      () => o.log.notSet,
      async () => {
        this.filter = (await operator.order<LogTail>('log', { body: { filter } })).filter;
        this.draft = undefined;
        this.said = true;
      },
    );
  };
}
customElements.define('sd-op-log-filter', LogFilter);
