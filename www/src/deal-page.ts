// One deal: its seal and state, the journey, the proofs, the checks, the way back to the file.

import { html, nothing } from 'lit';
import type { Deal } from 'sealdrop-client';
import './checks';
import './journey';
import './payments';
import './proof-checks';
import './proving';
import './take-back';
import { ActingView } from './acting';
import { bytes, count, fil } from './amounts';
import { shortened } from './copyable';
import { isRefunding } from './payments';
import { previewOfDeal } from './previewed';
import { type Problem, problemOf } from './problem';
import { DEALS, fileLink } from './route';
import { seal } from './seal';
import { session } from './session';
import { STEPS } from './steps';
import { blocksAsTime, moment } from './times';

export class DealPage extends ActingView {
  static override properties = { dealId: { attribute: false } };
  declare dealId: string;

  override render() {
    const deal = session.deal(this.dealId);
    if (!deal) return missing();
    // Of a failed deal, the money on its way back matters most.
    const payments = html`<sd-payments .deal=${deal}></sd-payments>`;
    return html`
      <p class="back">${back(deal)}</p>
      ${header(deal)}
      <div class="columns deal-columns">
        <div class="main-column">
          ${this.trouble(deal)}
          <sd-problem .problem=${this.problem}></sd-problem>
          ${deal.state === 'failed' ? payments : preview(deal)}
          <sd-journey .deal=${deal}></sd-journey>
          ${deal.proof ? html`<sd-checks .deal=${deal}></sd-checks><sd-proof-checks .deal=${deal}></sd-proof-checks>` : nothing}
          ${deal.state === 'failed' ? nothing : payments}
        </div>
        <div class="side-column">
          ${deal.state === 'failed' ? nothing : html`<sd-take-back .deal=${deal}></sd-take-back>`}
          ${deal.proof ? html`<sd-proving .deal=${deal}></sd-proving>` : nothing}
          ${this.record(deal)}
          ${this.farewell(deal)}
        </div>
      </div>
    `;
  }

  private farewell(deal: Deal) {
    if (deal.state === 'working') {
      return html`<p class="forget">
        <button type="button" class="plain" data-testid="give-up-button" ?disabled=${this.busy} @click=${() => this.giveUp(deal)}>
          Give this deal up
        </button>
      </p>`;
    }
    if (isRefunding(deal)) return html`<p class="forget note">It can be forgotten once its money is back.</p>`;
    if (!deal.forgettable) {
      return html`<p class="forget note">This deal can be forgotten once it is over and what is left of its money is back.</p>`;
    }
    return html`<p class="forget">
      <button type="button" class="plain" data-testid="remove-button" ?disabled=${this.busy} @click=${() => this.forgetDeal(deal)}>
        Forget this deal
      </button>
    </p>`;
  }

  /** What hinders the deal, or why it ended. */
  private trouble(deal: Deal) {
    if (deal.state === 'failed') {
      const why = deal.reason ?? deal.error?.message ?? 'no reason was given';
      const next = deal.error?.hint || 'You can try again, with a new proposal at the miner’s present price';
      const problem: Problem = {
        what: 'This deal failed',
        why,
        next,
        code: deal.error?.code ?? 'deal-failed',
      };
      return html`<sd-problem .problem=${problem} .retry=${() => this.again(deal)} label="Try again"></sd-problem>`;
    }
    // The page says already that the chain does not answer.
    if (!deal.error || (session.problem && deal.error.code === 'chain-unreachable')) return nothing;
    if (deal.error.code === 'file-lost') {
      return html`<sd-problem .problem=${problemOf('The miner still needs the file, and it is gone from here', deal.error)}></sd-problem>`;
    }
    const problem = problemOf('Delayed; it is tried again automatically', deal.error);
    return html`<sd-problem .problem=${problem} .retry=${() => this.again(deal)} label="Try again now" calm></sd-problem>`;
  }

  /** The deal in figures. */
  private record(deal: Deal) {
    const blockTimeMs = session.network?.blockTimeMs;
    const about = blockTimeMs ? `, about ${blocksAsTime(deal.duration, blockTimeMs)}` : '';
    return html`
      <section class="panel" aria-labelledby="record-title">
        <h2 id="record-title">The deal</h2>
        <dl class="facts stacked">
          <div><dt>Miner</dt><dd><sd-copyable .value=${deal.miner} label="miner address" short></sd-copyable></dd></div>
          ${chosen(deal)}
          <div><dt>Duration</dt><dd>${count(deal.duration)} blocks${about}</dd></div>
          <div><dt>Price</dt><dd>${fil(deal.total)}</dd></div>
          ${
            deal.answer || deal.state === 'complete'
              ? html`<div>
                <dt>The miner’s last answer</dt>
                <dd class="last-word">
                  <span data-testid="answer" data-state=${deal.answer?.state ?? nothing}>${lastWord(deal)}</span>
                  ${
                    deal.state === 'failed'
                      ? nothing
                      : html`<button type="button" class="copy" data-testid="query-button" ?disabled=${this.busy} @click=${() => this.ask(deal)}>Ask now</button>`
                  }
                </dd>
              </div>`
              : nothing
          }
          <div>
            <dt>Deal id</dt>
            <dd data-testid="deal-id" data-deal-cid=${deal.dealCid ?? ''} data-id=${deal.id}>
              ${
                deal.dealCid
                  ? html`<sd-copyable .value=${deal.dealCid} label="deal id" short></sd-copyable>`
                  : deal.state === 'failed'
                    ? 'no longer in force'
                    : 'known once it is signed'
              }
            </dd>
          </div>
          <div><dt>Data (IPFS) id</dt><dd><sd-copyable .value=${deal.dataCid} label="data id" short></sd-copyable></dd></div>
          <div><dt>Piece id</dt><dd><sd-copyable .value=${deal.pieceCid} label="piece id" short></sd-copyable></dd></div>
        </dl>
      </section>
    `;
  }

  private readonly ask = (deal: Deal) =>
    void this.act('The miner could not be asked', async () => {
      await session.client?.query(deal.id);
    });

  private readonly again = (deal: Deal) =>
    void this.act('It did not work this time either', async () => {
      await session.client?.retry(deal.id);
      const anew = await session.client?.deal(deal.id);
      if (anew) session.dealChanged(anew);
    });

  private readonly giveUp = (deal: Deal) => {
    if (
      !confirm(
        `Give the deal for “${deal.name}” up? What is set aside for it comes back when its payment channel ends.`,
      )
    )
      return;
    void this.act('The deal could not be given up', async () => {
      await session.client?.giveUp(deal.id);
    });
  };

  private readonly forgetDeal = (deal: Deal) => {
    const loss =
      deal.state === 'failed'
        ? ''
        : ' The miner goes on storing it, but this browser can no longer follow the deal or take the file back.';
    if (!confirm(`Forget the deal for “${deal.name}”?${loss}`)) return;
    void this.act('The deal could not be removed', async () => {
      await session.client?.remove(deal.id);
      location.hash = DEALS;
      session.dealRemoved(deal.id);
    });
  };
}
customElements.define('sd-deal', DealPage);

function header(deal: Deal) {
  const look = deal.state === 'failed' ? 'broken' : deal.state === 'complete' ? 'sealed' : 'molten';
  return html`
    <div class="deal-head">
      ${seal(look, deal.proof?.commR, 116)}
      <div>
        <h1>${deal.name || 'Unnamed file'}</h1>
        <p class="note">
          ${bytes(deal.size)}${deal.type ? ` · ${deal.type}` : ''} · begun ${moment(deal.createdAt)}
        </p>
        <p class="deal-state">
          <span
            class="state state-${deal.state}"
            data-testid="deal-state"
            data-step=${deal.step}
            data-state=${deal.state}
            >${deal.state === 'failed' ? 'failed' : deal.step}</span
          >
          ${
            deal.state === 'working'
              ? html`<span class="link ${deal.connected ? 'link-up' : ''}">
                <i class="pulse" aria-hidden="true"></i>${deal.connected ? 'connected to the miner' : 'not connected to the miner'}
              </span>`
              : nothing
          }
          ${deal.proof ? html`<span class="note">This seal’s impression is drawn from the sector’s commitment.</span>` : nothing}
        </p>
      </div>
    </div>
  `;
}

/** The file itself, once it is there and where a page can show it. */
function preview(deal: Deal) {
  const file = previewOfDeal(deal);
  const ready = STEPS.indexOf(deal.step) >= STEPS.indexOf('complete');
  return file && ready ? html`<sd-preview .file=${file}></sd-preview>` : nothing;
}

/** Where the deal stands in the book. */
function back({ partOf }: Deal) {
  const file = partOf === undefined ? undefined : session.file(partOf);
  return file ? html`<a href=${fileLink(file.file)}>← ${file.name}</a>` : html`<a href=${DEALS}>← Deal book</a>`;
}

/** What the miner said last; why a deal failed stands at the top of the page already. */
function lastWord({ answer, state }: Deal): string {
  if (!answer) return 'not asked lately';
  const why = answer.message && state !== 'failed' ? `: ${answer.message}` : '';
  return `${answer.state}${why}, ${moment(answer.at)}`;
}

function missing() {
  return session.deals === undefined
    ? html`<p class="empty wait">Opening the deal book…</p>`
    : html`<div class="empty sheet">
        ${seal('broken', undefined, 88)}
        <h1>This deal is not in the book</h1>
        <p>Deals are kept in the browser that made them. It may have been forgotten here, or made in another browser.</p>
        <p><a class="button" href=${DEALS}>To the deal book</a></p>
      </div>`;
}

/** How the miner was chosen, and who was passed over. */
function chosen({ minerRule, passedOver }: Deal) {
  if (minerRule === undefined) return nothing;
  const words = {
    cheapest: 'as the cheapest',
    nearest: 'as the nearest',
    spread: 'as the one with the fewest deals of yours',
  };
  return html`<div>
    <dt>Chosen</dt>
    <dd data-testid="chosen">
      ${words[minerRule]}
      ${passedOver.map(({ miner, reason }) => html`<span class="note passed">not <code title=${miner}>${shortened(miner)}</code>: ${reason}</span>`)}
    </dd>
  </div>`;
}
