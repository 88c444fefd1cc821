// The proving windows on a time line: proofs that were made, windows that were missed, the one that is open or comes next.

import { html, nothing, svg } from 'lit';
import { count } from './amounts';
import { operator } from './operator-state';
import type { MiningStatus, PostSummary, Proofs } from './operator-types';
import { at, fact, OperatorView, said, waiting } from './operator-view';
import { blocksAsTime, span } from './times';
import { o } from './words/operator';

/** Proofs that are on the time line; the table has them all. */
const ON_LINE = 16;
const WIDTH = 1000;
/** A proof's mark is no narrower. */
const LEAST = 7;

export class OperatorProofs extends OperatorView {
  protected override wants() {
    return ['proofs'];
  }

  override render() {
    const proofs = operator.get('proofs');
    const mining = operator.get('mining');
    if (!proofs) return waiting('proofs');
    return html`
      <section class="sheet op-part" aria-labelledby="line-title">
        <h2 id="line-title">${o.proofs.line}</h2>
        ${timeLine(proofs)}
      </section>
      <div class="columns">
        <div class="main-column">${made(proofs)}</div>
        <div class="side-column">${mining ? outlook(proofs, mining) : nothing}${missed(proofs)}</div>
      </div>
    `;
  }
}
customElements.define('sd-op-proofs', OperatorProofs);

interface Mark {
  kind: 'made' | 'missed' | 'open' | 'next';
  start: number;
  end: number;
  title: string;
}

/** Everything that stands on the line, by height. */
function marks({ made, missed, window, nextWindow }: Proofs): Mark[] {
  const length = window ? window.end - window.start : nextWindow ? nextWindow.end - nextWindow.start : 1;
  const shown = made.slice(0, ON_LINE);
  const oldest = Math.min(...shown.map(({ windowEnd }) => windowEnd));
  const isProven = window !== null && made.some(({ windowEnd }) => windowEnd === window.end);
  return [
    ...shown.map(
      ({ windowEnd, height, sectors }): Mark => ({
        kind: 'made',
        start: Math.min(height, windowEnd - length),
        end: windowEnd,
        title: o.proofs.madeAt(count(height), sectors.length),
      }),
    ),
    ...missed
      .filter(({ windowEnd }) => shown.length === 0 || windowEnd >= oldest)
      .map(
        ({ windowEnd }): Mark => ({
          kind: 'missed',
          start: windowEnd - length,
          end: windowEnd,
          title: o.proofs.missedAt(count(windowEnd)),
        }),
      ),
    ...(window && !isProven
      ? [{ ...window, kind: 'open' as const, title: o.proofs.openUntil(count(window.end)) }]
      : []),
    ...(nextWindow
      ? [{ ...nextWindow, kind: 'next' as const, title: o.proofs.nextFrom(count(nextWindow.start)) }]
      : []),
  ];
}

function timeLine(proofs: Proofs) {
  const { height, blockMs } = proofs;
  const all = marks(proofs);
  if (all.length === 0) return html`<p class="note">${o.proofs.none}</p>`;
  const first = Math.min(height, ...all.map(({ start }) => start));
  const last = Math.max(height, ...all.map(({ end }) => end));
  const scale = WIDTH / Math.max(1, last - first);
  const x = (at: number) => (at - first) * scale;
  const kinds = (['made', 'missed', 'open', 'next'] as const).filter((kind) => all.some((mark) => mark.kind === kind));
  const number = (kind: Mark['kind']) => all.filter((mark) => mark.kind === kind).length;
  return html`
    <figure class="op-line-figure">
      <svg viewBox="0 0 ${WIDTH} 60" preserveAspectRatio="none" role="img" aria-label=${o.proofs.aloud(number('made'), number('missed'))}>
        <path class="op-axis" d="M0 44 H${WIDTH}"></path>
        ${all.map(
          ({ kind, start, end, title }) =>
            svg`<rect class="op-window op-window-${kind}" data-testid="window" data-kind=${kind} x=${x(start)} y=${kind === 'missed' ? 22 : 10} width=${Math.max(LEAST, x(end) - x(start))} height=${kind === 'missed' ? 22 : 34}><title>${title}</title></rect>`,
        )}
        <path class="op-now" d="M${x(height)} 2 V58"></path>
      </svg>
      <p class="op-line-ends num"><span>${o.block(count(first))}</span><span>${o.block(count(last))}</span></p>
      <figcaption>
        <p class="op-now-said">${o.proofs.now(html`<b class="num">${count(height)}</b>`)} ${outlookWords(proofs, blockMs)}</p>
        <p class="legend note">
          ${kinds.map((kind) => html`<span><i class="op-key op-window-${kind}" aria-hidden="true"></i>${o.proofs.kinds[kind]}</span>`)}
          <span><i class="op-key op-key-now" aria-hidden="true"></i>${o.proofs.kinds.now}</span>
        </p>
      </figcaption>
    </figure>
  `;
}

/** What comes next, in a sentence. */
function outlookWords({ height, window, nextWindow, made }: Proofs, blockMs: number | null): string {
  const time = (blocks: number) => (blockMs === null ? o.blocks(blocks) : blocksAsTime(blocks, blockMs));
  if (window) {
    const isProven = made.some(({ windowEnd }) => windowEnd === window.end);
    return isProven ? o.proofs.isProven : o.proofs.closesIn(time(Math.max(0, window.end - height)));
  }
  return nextWindow ? o.proofs.opensIn(time(Math.max(0, nextWindow.start - height))) : o.proofs.nothing;
}

/** Whether the next proof will be in time. */
function outlook({ made }: Proofs, { proving }: MiningStatus) {
  const [last] = made;
  return html`
    <section class="panel" aria-labelledby="outlook-title">
      <h2 id="outlook-title">${o.proofs.nextTitle}</h2>
      <dl class="facts">
        ${fact(o.proofs.covers, o.sectorsOf(proving.sectors))}
        ${fact(o.proofs.takes, proving.expectedMs === null ? o.unknown : o.about(span(proving.expectedMs)))}
        ${fact(o.proofs.has, proving.windowMs === null ? o.unknown : span(proving.windowMs))}
        ${last ? fact(o.proofs.last, at(last.at)) : nothing}
      </dl>
      ${proving.basis ? html`<p class="note">${o.why.goingBy(said(proving.basis, false))}</p>` : nothing}
      ${proving.warning === null ? nothing : html`<p class="op-warning">${said(proving.warning)}</p>`}
    </section>
  `;
}

function missed({ missed }: Proofs) {
  if (missed.length === 0) return nothing;
  return html`
    <section class="panel" aria-labelledby="missed-title">
      <h2 id="missed-title">${o.proofs.missedTitle}</h2>
      <p class="note">${o.proofs.missedMeans}</p>
      <ul class="op-plain">${missed.slice(0, 20).map(({ windowEnd }) => html`<li>${o.proofs.missedAt(count(windowEnd))}</li>`)}</ul>
    </section>
  `;
}

function made({ made }: Proofs) {
  if (made.length === 0) return html`<p class="empty sheet">${o.proofs.noneMade}</p>`;
  const { table } = o.proofs;
  return html`
    <section class="sheet op-part" aria-labelledby="made-title">
      <h2 id="made-title">${o.proofs.made}</h2>
      <div class="scroll" tabindex="0" role="region" aria-label=${o.proofs.table.region}>
        <table class="vouchers op-table">
          <thead><tr><th scope="col">${table.at}</th><th scope="col">${table.block}</th><th scope="col">${table.window}</th><th scope="col">${table.sectors}</th><th scope="col">${table.message}</th></tr></thead>
          <tbody>${made.map(row)}</tbody>
        </table>
      </div>
    </section>
  `;
}

const row = ({ windowEnd, height, message, sectors, at: when }: PostSummary) => html`<tr>
  <td>${at(when)}</td><td class="num">${count(height)}</td><td class="num">${o.proofs.until(count(windowEnd))}</td><td class="num">${count(sectors.length)}</td>
  <td><sd-copyable .value=${message} .label=${table()} short></sd-copyable></td>
</tr>`;

const table = () => o.proofs.table.message;
