// One deal: where it stands and why, what was promised and redeemed, and the order to redeem what is due, after it was said what that brings.

import { html, nothing } from 'lit';
import { ActingView } from './acting';
import { bytes, count, fil } from './amounts';
import { atto } from './operator-amounts';
import { stageLook, stageName } from './operator-deals';
import { explanation } from './operator-explanation';
import { operator } from './operator-state';
import type { DealDetail, RedeemOutcome, Voucher } from './operator-types';
import { at, bar, fact, OperatorView, said, waiting } from './operator-view';
import { sentence } from './problem-box';
import { operatorLink } from './route';
import { spoken, t } from './words';
import { o } from './words/operator';

export class OperatorDeal extends OperatorView {
  static override properties = { of: {} };
  declare of: string;

  protected override wants() {
    return [`deals/${this.of}`, `deals/${this.of}/explain`];
  }

  override render() {
    const path = `deals/${this.of}` as const;
    const value = operator.get(path);
    return html`
      <p class="back"><a href=${operatorLink('deals')}>${o.deals.back}</a></p>
      ${value ? this.detail(value) : waiting(path)}
    `;
  }

  private detail(deal: DealDetail) {
    return html`
      <section aria-labelledby="deal-title" data-testid="deal-detail" data-stage=${deal.stage}>
        <div class="op-deal-head">
          <h2 id="deal-title">${o.deals.deal} <sd-copyable .value=${deal.deal} .label=${o.deals.id} short></sd-copyable></h2>
          <p class="deal-state"><span class="state ${stageLook(deal.stage)}">${stageName(deal.stage)}</span> <span class="note">${at(deal.createdAt)}</span></p>
          ${deal.message ? html`<p class="op-said">${said(deal.message)}</p>` : nothing}
        </div>
        <div class="columns">
          <div class="main-column">
            <section class="sheet op-part" aria-labelledby="why-title"><h3 id="why-title">${o.why.title}</h3>${explanation(operator.heard(`deals/${deal.deal}/explain`))}</section>
            ${money(deal)}
          </div>
          <div class="side-column">${facts(deal)}</div>
        </div>
      </section>
    `;
  }
}
customElements.define('sd-op-deal', OperatorDeal);

function facts(deal: DealDetail) {
  const { facts: f } = o.deals;
  return html`
    <section class="panel" aria-labelledby="deal-facts">
      <h3 id="deal-facts">${o.deals.terms}</h3>
      <dl class="facts stacked">
        ${fact(f.client, html`<sd-copyable .value=${deal.client} .label=${f.client} short></sd-copyable>`)}
        ${fact(f.piece, html`<sd-copyable .value=${deal.piece} .label=${f.piece} short></sd-copyable>`)}
        ${fact(f.size, deal.transferred < deal.size ? o.deals.arrived(bytes(deal.transferred), bytes(deal.size)) : bytes(deal.size))}
        ${fact(f.duration, o.blocks(deal.duration))}
        ${deal.endsAt === null ? nothing : fact(f.ends, o.block(count(deal.endsAt)))}
        ${deal.sector === null ? nothing : fact(f.sector, html`<a href=${operatorLink('sectors', deal.sector)}>${o.sector(deal.sector)}</a>${deal.phase ? ` · ${o.phases[deal.phase]}` : ''}`)}
        ${deal.channel === null ? nothing : fact(f.channel, html`<span class="num">${count(deal.channel)}</span>`)}
      </dl>
    </section>
  `;
}

function money(deal: DealDetail) {
  const total = atto(deal.totalPrice);
  const redeemed = atto(deal.redeemed);
  const share = total === 0n ? 0 : Number((redeemed * 10_000n) / total) / 10_000;
  return html`
    <section class="sheet op-part" aria-labelledby="money-title">
      <h3 id="money-title">${o.deals.money}</h3>
      <p class="op-measure"><span>${o.deals.redeemed}</span><b class="num">${o.of(fil(redeemed), fil(total))}</b></p>
      ${bar(share, 'op-bar-good')}
      <sd-op-redeem .deal=${deal}></sd-op-redeem>
      ${deal.redemptions.map(
        ({ gained, height, error, message }) => html`<p class="note op-redemption">
          ${error ? html`${o.deals.redemptionFailed} ${said(error)}` : gained === null ? o.deals.underWay : o.deals.gained(fil(atto(gained)), height === null ? o.unknown : count(height))}
          ${message ? html`<sd-copyable .value=${message} .label=${o.proofs.table.message} short></sd-copyable>` : nothing}
        </p>`,
      )}
      ${deal.vouchers.length > 0 ? vouchers(deal.vouchers) : nothing}
    </section>
  `;
}

function vouchers(all: readonly Voucher[]) {
  const { columns } = o.deals;
  return html`
    <details>
      <summary>${o.deals.vouchers(all.length)}</summary>
      <div class="scroll" tabindex="0" role="region" aria-label=${o.deals.vouchers(all.length)}>
        <table class="vouchers">
          <thead><tr><th scope="col">${columns.from}</th><th scope="col">${columns.amount}</th><th scope="col">${columns.condition}</th><th scope="col">${columns.state}</th></tr></thead>
          <tbody>
            ${all.map(
              ({ validAt, amount, condition, isRedeemed }) =>
                html`<tr><td class="num">${count(validAt)}</td><td class="num">${fil(atto(amount))}</td><td>${condition === null ? o.none : html`<code>${condition.slice(0, 80)}</code>`}</td><td>${isRedeemed ? o.deals.isRedeemed : o.deals.notYet}</td></tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>
  `;
}

/** First what redeeming would bring and use, then the order. */
export class Redeem extends ActingView {
  static override properties = { deal: { attribute: false } };
  declare deal: DealDetail;
  /** Of which deal everything else here is. */
  private of = '';
  private preview: RedeemOutcome | undefined;

  protected override sources(): readonly EventTarget[] {
    return [operator, spoken];
  }

  override willUpdate(): void {
    if (this.of === this.deal.deal) return;
    this.of = this.deal.deal;
    this.preview = this.problem = undefined;
  }

  override render() {
    const { preview, busy, deal } = this;
    const isOff = busy || operator.standing !== 'live';
    if (deal.vouchers.length === 0) return html`<p class="note">${o.redeem.noVouchers}</p>`;
    return html`
      ${
        preview === undefined
          ? html`<div class="row"><button type="button" class="quiet" data-testid="redeem-preview" ?disabled=${isOff || !operator.may('operate')} @click=${this.look}>${busy ? o.doing : o.redeem.look}</button></div>`
          : html`
              <div class="op-question" data-testid="preview">
                <p class="op-question-title">${o.redeem.would(fil(atto(preview.gain)))}</p>
                <p class="op-means">${o.redeem.gas(count(preview.gas), count(preview.voucher.validAt))}</p>
                <div class="row">
                  <sd-order .order=${{ id: 'redeem', label: o.redeem.do, needs: 'operate', isMain: true, failed: () => o.redeem.failed, run: this.redeem }}></sd-order>
                  <button type="button" class="quiet" @click=${this.drop}>${t.common.cancel}</button>
                </div>
              </div>
            `
      }
      ${operator.may('operate') ? nothing : html`<p class="note">${sentence(o.needs.operate)}</p>`}
      <p class="saved" role="status" data-testid="redeemed">${this.done === undefined ? nothing : o.redeem.done(fil(atto(this.done.gain)), this.done.height === null ? o.unknown : count(this.done.height))}</p>
      <sd-problem .problem=${this.problem}></sd-problem>
    `;
  }

  private done: RedeemOutcome | undefined;

  private readonly look = () =>
    void this.act(
      () => o.redeem.noPreview,
      async () => {
        this.done = undefined;
        this.preview = await operator.order<RedeemOutcome>(`deals/${encodeURIComponent(this.of)}/redeem`, {
          body: { preview: true },
        });
      },
    );

  private readonly redeem = async () => {
    this.done = await operator.order<RedeemOutcome>(`deals/${encodeURIComponent(this.of)}/redeem`, {
      body: { preview: false },
    });
    this.drop();
    return '';
  };

  private readonly drop = () => {
    this.preview = undefined;
    this.requestUpdate();
  };
}
customElements.define('sd-op-redeem', Redeem);
