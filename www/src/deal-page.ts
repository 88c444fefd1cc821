// One deal: its seal and state, the journey, the proofs, the checks, the way back to the file.

import { html, nothing } from 'lit';
import type { Deal } from 'sealdrop-client';
import './checks';
import './journey';
import './payments';
import './passport';
import './proof-checks';
import './proving';
import './take-back';
import { ActingView } from './acting';
import { bytes, fil } from './amounts';
import { shortened } from './copyable';
import { isRefunding } from './payments';
import { previewOfDeal } from './previewed';
import { type Problem, problemOf } from './problem';
import { inEnglish } from './problem-box';
import { DEALS, fileLink } from './route';
import { seal } from './seal';
import { session } from './session';
import { STEPS } from './steps';
import { blocksAsTime, moment } from './times';
import { t } from './words';

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
          ${deal.dealCid === undefined ? nothing : html`<sd-passport .deal=${deal}></sd-passport>`}
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
          ${t.deal.giveUp}
        </button>
      </p>`;
    }
    if (isRefunding(deal)) return html`<p class="forget note">${t.deal.forgetWhenBack}</p>`;
    if (!deal.forgettable) {
      return html`<p class="forget note">${t.deal.forgetWhenOver}</p>`;
    }
    return html`<p class="forget">
      <button type="button" class="plain" data-testid="remove-button" ?disabled=${this.busy} @click=${() => this.forgetDeal(deal)}>
        ${t.deal.forget}
      </button>
    </p>`;
  }

  /** What hinders the deal, or why it ended. */
  private trouble(deal: Deal) {
    if (deal.state === 'failed') {
      const why = deal.reason ?? deal.error?.message;
      const problem: Problem = {
        what: () => t.deal.itFailed,
        why: why ?? (() => t.common.noReason),
        next: deal.error?.hint || (() => t.deal.again),
        code: deal.error?.code ?? 'deal-failed',
        foreign: why !== undefined,
      };
      return html`<sd-problem .problem=${problem} .retry=${() => this.again(deal)}></sd-problem>`;
    }
    // The page says already that the chain does not answer.
    if (!deal.error || (session.problem && deal.error.code === 'chain-unreachable')) return nothing;
    if (deal.error.code === 'file-lost') {
      return html`<sd-problem .problem=${problemOf(() => t.deal.fileGone, deal.error)}></sd-problem>`;
    }
    const problem = problemOf(() => t.deal.delayed, deal.error);
    return html`<sd-problem .problem=${problem} .retry=${() => this.again(deal)} .label=${t.deal.tryNow} calm></sd-problem>`;
  }

  /** The deal in figures. */
  private record(deal: Deal) {
    const blockTimeMs = session.network?.blockTimeMs;
    const about = blockTimeMs ? blocksAsTime(deal.duration, blockTimeMs) : undefined;
    return html`
      <section class="panel" aria-labelledby="record-title">
        <h2 id="record-title">${t.deal.title}</h2>
        <dl class="facts stacked">
          <div><dt>${t.deal.miner}</dt><dd><sd-copyable .value=${deal.miner} .label=${t.deal.minerAddress} short></sd-copyable></dd></div>
          ${chosen(deal)}
          <div><dt>${t.deal.duration}</dt><dd>${t.deal.lasts(t.common.blocks(deal.duration), about)}</dd></div>
          <div><dt>${t.deal.price}</dt><dd>${fil(deal.total)}</dd></div>
          ${
            deal.answer || deal.state === 'complete'
              ? html`<div>
                <dt>${t.deal.lastAnswer}</dt>
                <dd class="last-word">
                  <span data-testid="answer" data-state=${deal.answer?.state ?? nothing}>${lastWord(deal)}</span>
                  ${
                    deal.state === 'failed'
                      ? nothing
                      : html`<button type="button" class="copy" data-testid="query-button" ?disabled=${this.busy} @click=${() => this.ask(deal)}>${t.deal.askNow}</button>`
                  }
                </dd>
              </div>`
              : nothing
          }
          <div>
            <dt>${t.deal.id}</dt>
            <dd data-testid="deal-id" data-deal-cid=${deal.dealCid ?? ''} data-id=${deal.id}>
              ${
                deal.dealCid
                  ? html`<sd-copyable .value=${deal.dealCid} .label=${t.deal.idCopy} short></sd-copyable>`
                  : deal.state === 'failed'
                    ? t.deal.notInForce
                    : t.deal.onceSigned
              }
            </dd>
          </div>
          <div><dt>${t.deal.dataId}</dt><dd><sd-copyable .value=${deal.dataCid} .label=${t.deal.dataIdCopy} short></sd-copyable></dd></div>
          <div><dt>${t.deal.pieceId}</dt><dd><sd-copyable .value=${deal.pieceCid} .label=${t.deal.pieceIdCopy} short></sd-copyable></dd></div>
        </dl>
      </section>
    `;
  }

  private readonly ask = (deal: Deal) =>
    void this.act(
      () => t.deal.notAskable,
      async () => {
        await session.client?.query(deal.id);
      },
    );

  private readonly again = (deal: Deal) =>
    void this.act(
      () => t.deal.notThisTime,
      async () => {
        await session.client?.retry(deal.id);
        const anew = await session.client?.deal(deal.id);
        if (anew) session.dealChanged(anew);
      },
    );

  private readonly giveUp = (deal: Deal) => {
    if (!confirm(t.deal.giveUpReally(deal.name))) return;
    void this.act(
      () => t.deal.notGivenUp,
      async () => {
        await session.client?.giveUp(deal.id);
      },
    );
  };

  private readonly forgetDeal = (deal: Deal) => {
    const question = deal.state === 'failed' ? t.deal.forgetReally(deal.name) : t.deal.forgetStored(deal.name);
    if (!confirm(question)) return;
    void this.act(
      () => t.deal.notRemoved,
      async () => {
        await session.client?.remove(deal.id);
        location.hash = DEALS;
        session.dealRemoved(deal.id);
      },
    );
  };
}
customElements.define('sd-deal', DealPage);

function header(deal: Deal) {
  const look = deal.state === 'failed' ? 'broken' : deal.state === 'complete' ? 'sealed' : 'molten';
  return html`
    <div class="deal-head">
      ${seal(look, deal.proof?.commR, 116)}
      <div>
        <h1>${deal.name || t.common.unnamed}</h1>
        <p class="note">
          ${[bytes(deal.size), deal.type, t.deal.begun(moment(deal.createdAt))].filter(Boolean).join(' · ')}
        </p>
        <p class="deal-state">
          <span
            class="state state-${deal.state}"
            data-testid="deal-state"
            data-step=${deal.step}
            data-state=${deal.state}
            >${deal.state === 'failed' ? t.deal.failed : t.steps[deal.step].name}</span
          >
          ${
            deal.state === 'working'
              ? html`<span class="link ${deal.connected ? 'link-up' : ''}">
                <i class="pulse" aria-hidden="true"></i>${deal.connected ? t.deal.connected : t.deal.notConnected}
              </span>`
              : nothing
          }
          ${deal.proof ? html`<span class="note">${t.deal.impression}</span>` : nothing}
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
  return file ? html`<a href=${fileLink(file.file)}>← ${file.name}</a>` : html`<a href=${DEALS}>← ${t.app.book}</a>`;
}

/** What the miner said last; why a deal failed stands at the top of the page already. */
function lastWord({ answer, state }: Deal) {
  if (!answer) return t.deal.notAsked;
  const [word, at] = [t.deal.answers[answer.state], moment(answer.at)];
  return answer.message && state !== 'failed'
    ? t.deal.answeredWhy(word, inEnglish(answer.message, false), at)
    : t.deal.answered(word, at);
}

function missing() {
  return session.deals === undefined
    ? html`<p class="empty wait">${t.common.openingBook}</p>`
    : html`<div class="empty sheet">
        ${seal('broken', undefined, 88)}
        <h1>${t.deal.missing}</h1>
        <p>${t.deal.missingMeans}</p>
        <p><a class="button" href=${DEALS}>${t.common.toBook}</a></p>
      </div>`;
}

/** How the miner was chosen, and who was passed over. */
function chosen({ minerRule, passedOver }: Deal) {
  if (minerRule === undefined) return nothing;
  return html`<div>
    <dt>${t.deal.chosen}</dt>
    <dd data-testid="chosen">
      ${t.deal.chosenBy[minerRule]}
      ${passedOver.map(({ miner, reason }) => html`<span class="note passed">${t.deal.passedOver(html`<code title=${miner}>${shortened(miner)}</code>`, inEnglish(reason, false))}</span>`)}
    </dd>
  </div>`;
}
