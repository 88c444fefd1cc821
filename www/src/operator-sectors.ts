// The sectors as a picture of their phases: how many are in each, a tile for every sector, and everything about one of them.

import { html, nothing, svg } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { bytes, count } from './amounts';
import { explanation } from './operator-explanation';
import { operator } from './operator-state';
import { ENDS, PHASES, type Phase, type Sector } from './operator-types';
import { at, bar, fact, OperatorView, roughly, said, waiting } from './operator-view';
import { sentence } from './problem-box';
import { operatorLink } from './route';
import { type SealLook, seal } from './seal';
import { span } from './times';
import { o } from './words/operator';

/** Tiles that are drawn at once, and so many more each time somebody asks. */
const TILES = 96;
/** Pieces that are listed at once. */
const PIECES = 50;

export class OperatorSectors extends OperatorView {
  static override properties = { of: {} };
  declare of: string | undefined;
  private only: Phase | undefined;
  private tiles = TILES;

  protected override wants() {
    return this.of === undefined ? ['sectors'] : ['sectors', `sectors/${this.of}/explain`];
  }

  override render() {
    const sectors = operator.get('sectors');
    if (!sectors) return waiting('sectors');
    const { of } = this;
    if (of !== undefined) {
      const sector = sectors.find(({ id }) => String(id) === of);
      return html`<p class="back"><a href=${operatorLink('sectors')}>${o.sectors.back}</a></p>
        ${sector ? detail(sector) : html`<p class="empty sheet">${o.sectors.unknown(of)}</p>`}`;
    }
    if (sectors.length === 0) {
      return html`<div class="empty sheet">${seal('molten', undefined, 88)}<h2>${o.sectors.none}</h2><p>${o.sectors.noneMeans}</p></div>`;
    }
    return html`${this.flow(sectors)}${this.grid(sectors)}`;
  }

  /** How many sectors are in each phase, from left to right as they pass through. */
  private flow(sectors: readonly Sector[]) {
    const number = (phase: Phase) => sectors.filter((each) => each.phase === phase).length;
    const ends = ENDS.filter((phase) => number(phase) > 0);
    const most = Math.max(...[...PHASES, ...ends].map(number), 1);
    return html`
      <section class="sheet op-part" aria-labelledby="flow-title">
        <h2 id="flow-title">${o.sectors.flow}</h2>
        <p class="note">${o.sectors.flowMeans}</p>
        <ol class="op-flow">
          ${[...PHASES, ...ends].map((phase) => {
            const n = number(phase);
            return html`<li class="op-flow-${lookOf(phase)}">
              <button type="button" data-testid="phase" data-phase=${phase} data-count=${n} aria-pressed=${this.only === phase} ?disabled=${n === 0 && this.only !== phase} @click=${() => this.choose(phase)}>
                <i class="op-column" aria-hidden="true"><i .style=${`--share:${(Math.sqrt(n / most) * 100).toFixed(1)}%`}></i></i>
                <b class="num">${count(n)}</b>
                <span>${o.phases[phase]}</span>
              </button>
            </li>`;
          })}
        </ol>
      </section>
    `;
  }

  private grid(sectors: readonly Sector[]) {
    // What waits for its operator comes first; the daemon has the newest first.
    const found = sectors
      .filter(({ phase }) => this.only === undefined || phase === this.only)
      .sort((a, b) => urgency(b) - urgency(a));
    const shown = found.slice(0, this.tiles);
    return html`
      <p class="note op-found" role="status">${this.only === undefined ? o.sectors.found(found.length) : o.sectors.foundIn(found.length, o.phases[this.only])}
        ${this.only === undefined ? nothing : html`<button type="button" class="plain" @click=${() => this.choose(this.only)}>${o.sectors.all}</button>`}</p>
      <ul class="op-tiles">${shown.map(tile)}</ul>
      ${shown.length < found.length ? html`<p class="file-more"><button type="button" class="quiet" @click=${this.more}>${o.showMore(Math.min(TILES, found.length - shown.length))}</button></p>` : nothing}
    `;
  }

  private choose(phase: Phase | undefined): void {
    this.only = this.only === phase ? undefined : phase;
    this.tiles = TILES;
    this.requestUpdate();
  }

  private readonly more = () => {
    this.tiles += TILES;
    this.requestUpdate();
  };
}
customElements.define('sd-op-sectors', OperatorSectors);

const urgency = ({ setback }: Sector): number => (setback === null ? 0 : setback.awaitsOperator ? 2 : 1);

type Look = 'packing' | 'sealing' | 'proving' | 'over' | 'failed';

function lookOf(phase: Phase): Look {
  if (phase === 'packing' || phase === 'proving' || phase === 'failed') return phase;
  return (ENDS as readonly Phase[]).includes(phase) ? 'over' : 'sealing';
}

const SEALS: Readonly<Record<Look, SealLook>> = {
  packing: 'molten',
  sealing: 'molten',
  proving: 'sealed',
  over: 'sealed',
  failed: 'broken',
};

function tile({ id, phase, since, estimateMs, fill, setback, commR }: Sector) {
  const look = lookOf(phase);
  const spent = Math.max(0, operator.now - since);
  const left = estimateMs === null ? undefined : estimateMs - spent;
  const time =
    setback?.awaitsOperator === true
      ? o.sectors.awaits
      : look === 'sealing' && left !== undefined && left > 1000
        ? o.inAbout(roughly(left))
        : look === 'packing'
          ? o.sectors.full(Math.floor(fill))
          : o.sectors.forTime(roughly(spent));
  return html`
    <li class="op-tile op-tile-${look} ${setback ? 'op-tile-setback' : ''}" data-testid="sector" data-sector=${id} data-phase=${phase}>
      ${guard([look, commR], () => seal(SEALS[look], commR ?? undefined, 44))}
      <div>
        <a href=${operatorLink('sectors', id)}>${o.sector(id)}</a>
        <span class="op-tile-phase">${o.phases[phase]}</span>
        <span class="note">${time}</span>
      </div>
      ${track(phase, setback?.failed)}
    </li>
  `;
}

/** The way of a sector in small: a mark for each phase, filled as far as it came. */
function track(phase: Phase, failed?: Phase) {
  const reached = PHASES.indexOf((failed ?? phase) as (typeof PHASES)[number]);
  const isOver = (ENDS as readonly Phase[]).includes(phase) && phase !== 'failed';
  return html`<svg class="op-track" viewBox="0 0 ${PHASES.length * 10} 4" preserveAspectRatio="none" aria-hidden="true">
    ${PHASES.map((_, index) => {
      const state =
        isOver || index < reached
          ? 'done'
          : index > reached
            ? 'later'
            : failed
              ? 'failed'
              : phase === 'proving'
                ? 'done'
                : 'now';
      return svg`<rect class="op-track-${state}" x=${index * 10} y="0" width="9" height="4"></rect>`;
    })}
  </svg>`;
}

function detail(sector: Sector) {
  const { id, phase, since, setback, commR, attempts, lastError } = sector;
  const look = lookOf(phase);
  return html`
    <section class="op-detail" aria-labelledby="sector-title" data-testid="sector-detail" data-phase=${phase}>
      <div class="deal-head">
        ${guard([look, commR], () => seal(SEALS[look], commR ?? undefined, 88))}
        <div>
          <h2 id="sector-title">${o.sector(id)}</h2>
          <p class="deal-state" role="status"><span class="state ${look === 'proving' ? 'state-complete' : look === 'failed' ? 'state-failed' : ''}">${o.phases[phase]}</span> <span class="note">${o.since(at(since))}</span></p>
        </div>
      </div>
      <div class="columns">
        <div class="main-column">
          ${setback ? setbackOf(sector, setback) : nothing}
          <section class="sheet op-part" aria-labelledby="why-title"><h3 id="why-title">${o.why.title}</h3>${explanation(operator.heard(`sectors/${id}/explain`))}</section>
          ${history(sector)}
        </div>
        <div class="side-column">
          <section class="panel" aria-labelledby="sector-facts">
            <h3 id="sector-facts">${o.sectors.contents}</h3>
            <p class="op-measure"><span>${o.sectors.used}</span><b class="num">${o.of(bytes(sector.used), bytes(sector.size))}</b></p>
            ${bar(sector.fill / 100)}
            <dl class="facts">
              ${fact(o.sectors.attempts, html`<span class="num">${count(attempts)}</span>`)}
              ${commR ? fact(o.sectors.commR, html`<sd-copyable .value=${commR} .label=${o.sectors.commR} short></sd-copyable>`) : nothing}
            </dl>
            ${!setback && lastError ? html`<p class="note">${o.sectors.lastError} ${said(lastError)}</p>` : nothing}
            <ul class="op-pieces">
              ${sector.pieces.slice(0, PIECES).map(({ deal, size }) => html`<li><a href=${operatorLink('deals', deal)} title=${deal}><code>${deal.slice(0, 10)}…${deal.slice(-6)}</code></a><span class="note num">${bytes(size)}</span></li>`)}
            </ul>
            ${sector.pieces.length > PIECES ? html`<p class="note">${o.andMore(sector.pieces.length - PIECES)}</p>` : nothing}
          </section>
        </div>
      </div>
    </section>
  `;
}

/** What failed, what is tried next, and what its operator may order. */
function setbackOf(
  { id, phase, pieces }: Sector,
  { failed, reason, attempts, next, retryAt, awaitsOperator }: NonNullable<Sector['setback']>,
) {
  const { retry, giveUp } = o.sectors;
  const after = (path: string, done: () => string) => async () => {
    await operator.order<Sector>(`sectors/${id}/${path}`);
    return done;
  };
  return html`
    <section class="sheet op-part op-setback" aria-labelledby="setback-title">
      <h3 id="setback-title">${o.sectors.failedAt(o.phases[failed], count(attempts))}</h3>
      <p class="op-said">${said(reason)}</p>
      <p>${awaitsOperator ? o.sectors.awaitsMeans : retryAt !== null ? o.sectors.triedAt(at(retryAt), o.phases[next ?? failed]) : o.sectors.notTried}</p>
      ${
        awaitsOperator || phase === 'failed'
          ? html`
              ${operator.may('operate') ? nothing : html`<p class="note" id="setback-why">${sentence(o.needs.operate)}</p>`}
              <div class="op-buttons">
                <sd-order .order=${{
                  id: `retry-${id}`,
                  whyAt: 'setback-why',
                  label: retry.label,
                  needs: 'operate',
                  isMain: true,
                  failed: () => o.sectors.retry.failed,
                  asks: {
                    title: retry.title(id),
                    means: html`<p>${retry.means(o.phases[next ?? failed])}</p>`,
                    yes: retry.yes,
                  },
                  run: after('retry', () => o.sectors.retry.done),
                }}></sd-order>
                <sd-order .order=${{
                  id: `give-up-${id}`,
                  whyAt: 'setback-why',
                  label: giveUp.label,
                  needs: 'operate',
                  failed: () => o.sectors.giveUp.failed,
                  asks: {
                    title: giveUp.title(id),
                    means: html`<p>${giveUp.means(pieces.length)}</p><p><strong>${giveUp.never}</strong></p>`,
                    yes: giveUp.yes,
                  },
                  run: after('give-up', () => o.sectors.giveUp.done),
                }}></sd-order>
              </div>
            `
          : nothing
      }
    </section>
  `;
}

/** When it came to each phase, and how long it stayed there. */
function history({ history, phase, estimateMs }: Sector) {
  return html`
    <section class="sheet op-part" aria-labelledby="history-title">
      <h3 id="history-title">${o.sectors.history}</h3>
      <ol class="op-history">
        ${history.map((entry, index) => {
          const isLast = index === history.length - 1;
          const until = history[index + 1]?.at ?? operator.now;
          return html`<li class=${isLast && entry.phase === phase ? 'op-history-now' : ''}>
            <span>${o.phases[entry.phase]}</span>
            <span class="note">${o.sectors.lasted(span(until - entry.at))}${isLast && estimateMs !== null ? ` · ${o.sectors.estimate(roughly(estimateMs))}` : ''}</span>
            ${at(entry.at)}
          </li>`;
        })}
      </ol>
    </section>
  `;
}
