// A deal's journey: its steps from top to bottom, what is done with its time, and what is going on now with its progress.

import { html, nothing } from 'lit';
import type { Deal, Step } from 'sealdrop-client';
import { bytes, count } from './amounts';
import { timeLeft } from './explanation';
import { reachedAt, usualTime } from './plain-terms';
import { seal } from './seal';
import { session } from './session';
import { STEPS, type Status, statusOf, underWay } from './steps';
import { clock, moment, span } from './times';
import { View } from './view';
import { t } from './words';
import { quarter } from './words/numbers';

export class Journey extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;

  protected override ticks(): boolean {
    return true;
  }

  override render() {
    const { deal } = this;
    const failed = deal.state === 'failed';
    return html`
      <section class="sheet journey" aria-labelledby="journey-title">
        <h2 id="journey-title">${t.journey.title}</h2>
        <p class="unseen" role="status">
          ${failed ? t.journey.failedAloud : t.journey.nowAloud(t.steps[underWay(deal.step)].doing)}
        </p>
        <ol>
          ${STEPS.map((step) => this.item(step, statusOf(step, deal.step, failed)))}
        </ol>
      </section>
    `;
  }

  private item(step: Step, status: Status) {
    const { deal } = this;
    const words = t.steps[step];
    const at = reachedAt(deal, step);
    return html`
      <li class="step step-${status}" data-testid="step" data-step=${step} data-status=${status}
        aria-current=${status === 'now' ? 'step' : nothing}>
        <span class="node">${node(status, deal.commP + step)}</span>
        <div class="step-body">
          <p class="step-title">
            <span>${status === 'now' || status === 'failed' ? words.doing : words.done}</span>
            <span class="unseen">, ${t.journey.status[status]}</span>
            ${status === 'done' && at !== undefined ? html`<time class="num" datetime=${new Date(at).toISOString()}>${moment(at)}</time>` : nothing}
          </p>
          <p class="note">${words.meaning}</p>
          ${status === 'now' ? [this.progress(step), why(deal), advice(deal)] : nothing}
        </div>
      </li>
    `;
  }

  /** What there is to tell about the step under way. */
  private progress(step: Step) {
    const { deal } = this;
    const since = reachedAt(deal, deal.step);
    const elapsed = Date.now() - (since ?? Date.now());
    if (step === 'transferred') return transfer(deal);
    if (step === 'sealing' || step === 'complete') return work(deal, step, elapsed);
    if (step === 'proven') return provingWindow(deal);
    return html`<p class="live"><i class="pulse" aria-hidden="true"></i><span class="num">${clock(elapsed)}</span></p>`;
  }
}
customElements.define('sd-journey', Journey);

function node(status: Status, mark: string) {
  if (status === 'done') return seal('sealed', mark, 30);
  if (status === 'failed') return seal('broken', undefined, 30);
  if (status === 'now') return html`<i class="drip"></i>`;
  return html`<i class="hollow"></i>`;
}

function transfer(deal: Deal) {
  const sent = Math.min(deal.transferred ?? 0, deal.size);
  return html`
    <div class="live-block">
      <progress max=${deal.size} .value=${sent} aria-label=${t.journey.sent}></progress>
      <p class="live"><span class="num">${t.common.of(bytes(sent), bytes(deal.size))}</span></p>
      <p class="unseen" role="status">${quarterSent(sent, deal.size)}</p>
    </div>
  `;
}

/** How much is sent, for people who hear the page: at each quarter, and no oftener. */
export function quarterSent(sent: number, all: number): string {
  return sent > 0 && sent < all ? t.journey.sentShare(quarter(sent / all)) : '';
}

/** Long work of the miner, from one step to the next; when it ends, and why not yet, is told below it. */
function work(deal: Deal, next: Step, elapsed: number) {
  const share = shareDone(deal, next, elapsed);
  return html`
    <div class="live-block">
      ${
        share === undefined
          ? html`<progress aria-label=${t.journey.underWay}></progress>`
          : html`<progress max="1" .value=${share} aria-label=${t.journey.underWayEstimated}></progress>`
      }
      <p class="live"><span class="num">${clock(elapsed)}</span></p>
    </div>
  `;
}

/**
 * How much of the work is done, by what the client expects, or by how long this miner took before. Undefined where nobody can tell, and
 * where it takes longer than it usually does: a bar that waits at its end would say that it is nearly done.
 */
function shareDone(deal: Deal, next: Step, elapsed: number): number | undefined {
  const left = timeLeft(deal.id);
  const began = reachedAt(deal, 'transferred');
  if (left !== undefined && began !== undefined) {
    const spent = Math.max(0, Date.now() - began);
    return left > 0 ? spent / (spent + left) : undefined;
  }
  const others = (session.deals ?? []).filter(({ id }) => id !== deal.id);
  const usual = usualTime(others, deal.miner, deal.step, next);
  return usual !== undefined && elapsed < usual ? elapsed / usual : undefined;
}

function provingWindow(deal: Deal) {
  const { height, network } = session;
  const { proving } = deal;
  if (!proving || height === undefined || !network) {
    return html`<p class="live"><i class="pulse" aria-hidden="true"></i>${t.journey.noWindow}</p>`;
  }
  const wait = proving.windowStart - height;
  return html`<p class="live">
    <i class="pulse" aria-hidden="true"></i>
    ${
      wait > 0
        ? t.journey.opensIn(figure(wait), span(wait * network.blockTimeMs))
        : t.journey.isOpen(figure(height), figure(proving.windowEnd))
    }
  </p>`;
}

const figure = (value: number) => html`<span class="num">${count(value)}</span>`;

/** Why it is not done yet, and when it will be. */
function why(deal: Deal) {
  return deal.state === 'working' ? html`<sd-why .deal=${deal}></sd-why>` : nothing;
}

/** Whether the page must stay open. */
function advice(deal: Deal) {
  if (deal.state !== 'working') return nothing;
  const sent = STEPS.indexOf(deal.step) >= STEPS.indexOf('transferred');
  return html`<p class="advice">
    ${sent ? t.journey.mayClose : t.journey.keepOpen}
  </p>`;
}
