// How a deal is paid: what is set aside, due and redeemed, the vouchers one by one, and the money of a failed attempt on
// its way back.

import { html, nothing } from 'lit';
import type { Deal, Payments, Refund, Voucher } from 'sealdrop-client';
import { count, fil } from './amounts';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { blocksAsTime } from './times';
import { View } from './view';
import { t } from './words';

/** Least milliseconds between two looks at the channel; it changes with blocks. */
const LOOK_MS = 4_000;
/** How long "Copied" is shown. */
const SHOWN_MS = 1_500;
/** Steps of a bar's width that are told apart, so that shares of attoFIL need no fractions. */
const FINE = 10_000n;

export class PaymentsPanel extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  private found: Payments | undefined;
  private problem: Problem | undefined;
  /** What the figures and the last look at the chain belong to. */
  private of = '';
  private looked = '';
  private lookedAt = 0;
  private looking = false;
  private said = false;

  protected override updated(): void {
    void this.look();
  }

  override render() {
    const { deal } = this;
    if (this.of !== deal.id) this.found = this.problem = undefined;
    const { found } = this;
    return html`
      <section class="sheet payments" aria-labelledby="payments-title" data-testid="payments" data-channel=${found?.channel?.state ?? nothing}>
        <h2 id="payments-title">${t.payments.title}</h2>
        ${deal.refunds.map((refund) => refundPart(refund))}
        ${deal.state === 'failed' ? failedNote(deal) : found === undefined ? this.waiting() : this.account(found)}
        <sd-problem .problem=${this.problem} .retry=${this.again}></sd-problem>
      </section>
    `;
  }

  private waiting() {
    return this.problem ? nothing : html`<p class="wait">${t.payments.asking}</p>`;
  }

  /** The present attempt's money. */
  private account(found: Payments) {
    if (found.total === 0n) return html`<p class="note">${t.payments.free}</p>`;
    const { channel } = found;
    if (!channel) return html`<p class="note">${t.payments.willBeSet(fil(found.total))}</p>`;
    return html`
      <p class="note">
        ${t.payments.isSet(fil(channel.amount))}
      </p>
      ${bar(found)}
      <dl class="facts">
        <div><dt>${t.payments.channel}</dt><dd>${t.payments.channelIs(html`<span class="num">${t.payments.number(channel.id)}</span>`, t.payments.states[channel.state])}</dd></div>
        ${
          channel.eol === undefined || channel.state === 'closed'
            ? nothing
            : html`<div><dt>${channel.state === 'ended' ? t.payments.ended : t.payments.ends}</dt><dd>${blockOf(channel.eol)}</dd></div>`
        }
      </dl>
      ${found.vouchers.length > 0 ? this.vouchers(found.vouchers) : nothing}
    `;
  }

  private vouchers(vouchers: readonly Voucher[]) {
    return html`
      <details>
        <summary>${t.payments.vouchers(vouchers.length)}</summary>
        <div class="scroll">
          <table class="vouchers">
            <thead>
              <tr><th scope="col">${t.payments.paysUpTo}</th><th scope="col">${t.payments.fromBlock}</th><th scope="col">${t.payments.condition}</th><th scope="col">${t.payments.state}</th></tr>
            </thead>
            <tbody>
              ${vouchers.map(
                (voucher) => html`<tr data-testid="voucher" data-state=${voucher.state}>
                  <td class="num">${fil(voucher.amount)}</td>
                  <td class="num">${count(voucher.validAt)}</td>
                  <td>${voucher.conditional ? t.payments.proof : t.payments.none}</td>
                  <td><span class="voucher-state voucher-${voucher.state}">${t.payments.voucher[voucher.state]}</span></td>
                </tr>`,
              )}
            </tbody>
          </table>
        </div>
        <p class="note">${t.payments.amounts}</p>
        <button type="button" class="quiet" data-testid="export-button" @click=${this.copy}>
          ${this.said ? t.common.copied : t.payments.copy}
        </button>
        <span class="unseen" role="status">${this.said ? t.payments.copyAloud(t.common.copied) : ''}</span>
      </details>
    `;
  }

  /** Asks for the figures when the deal or the chain has moved on. */
  private async look(): Promise<void> {
    const { id, dealCid, step, state } = this.deal;
    const stage = [id, dealCid, step].join(' ');
    const fresh =
      this.looked === stage && (this.found?.height === session.height || Date.now() - this.lookedAt < LOOK_MS);
    if (this.looking || fresh || state === 'failed' || !session.client) return;
    this.looking = true;
    this.looked = stage;
    this.lookedAt = Date.now();
    try {
      const found = await session.client.payments(id);
      [this.found, this.problem] = [found, undefined];
    } catch (error) {
      // The page says already that the chain does not answer.
      this.problem = session.problem || this.found ? undefined : problemOf(() => t.payments.notFound, error);
    }
    this.of = id;
    this.looking = false;
    this.requestUpdate();
  }

  private readonly again = () => {
    this.looked = '';
    this.problem = undefined;
    this.requestUpdate();
  };

  private readonly copy = async () => {
    try {
      await navigator.clipboard.writeText((await session.client?.exportVouchers(this.deal.id)) ?? '');
      this.said = true;
    } catch (error) {
      this.problem = problemOf(() => t.payments.notCopied, error);
    }
    this.requestUpdate();
    setTimeout(() => {
      this.said = false;
      this.requestUpdate();
    }, SHOWN_MS);
  };
}
customElements.define('sd-payments', PaymentsPanel);

/** Whether money of this deal is still on its way back. */
export function isRefunding(deal: Deal): boolean {
  return deal.refunding;
}

/** How far what was set aside is redeemed and due. */
function bar({ total, due, redeemed }: Payments) {
  const whole = total;
  const share = (amount: bigint) => `${Number((amount * FINE) / whole) / Number(FINE / 100n)}%`;
  return html`
    <div class="paid" role="img" aria-label=${t.payments.bar(fil(redeemed), fil(total), fil(due))}>
      <i class="paid-due" .style=${`width:${share(due)}`}></i><i class="paid-redeemed" .style=${`width:${share(redeemed)}`}></i>
    </div>
    <p class="paid-key">
      <span><i class="key key-redeemed"></i>${t.payments.redeemed(html`<b class="num" data-testid="redeemed">${fil(redeemed)}</b>`)}</span>
      <span><i class="key key-due"></i>${t.payments.due(html`<b class="num" data-testid="due">${fil(due)}</b>`)}</span>
      <span><i class="key"></i>${t.payments.inAll(html`<b class="num">${fil(total)}</b>`)}</span>
    </p>
  `;
}

/** A failed attempt's money on its way back. */
function refundPart(refund: Refund) {
  const back = refund.state === 'returned';
  return html`
    <div class="refund ${back ? 'refund-back' : ''}" data-testid="refund" data-state=${refund.state} role="status">
      <p class="refund-title">
        <span>${back ? t.payments.returned : t.payments.returning}</span>
        <b class="num">${fil(refund.amount)}</b>
      </p>
      <p class="note">${refundWords(refund)}</p>
      ${
        refund.error
          ? html`<sd-problem .problem=${problemOf(() => t.deal.delayed, refund.error)} calm></sd-problem>`
          : nothing
      }
    </div>
  `;
}

function refundWords({ state, channel, until, earned }: Refund) {
  if (state === 'cancelling') return t.payments.cancelling(channel);
  if (state === 'reclaiming') return t.payments.reclaiming(channel);
  if (state === 'returned') return t.payments.closed(channel);
  const end = blockOf(until ?? 0);
  return earned ? t.payments.earned(channel, end) : t.payments.cancelled(channel, end);
}

function failedNote(deal: Deal) {
  if (deal.refunds.length > 0) return nothing;
  return isRefunding(deal)
    ? html`<p class="note" role="status">${t.payments.opening}</p>`
    : html`<p class="note">${t.payments.nothing}</p>`;
}

/** A block, and how long it is until then. */
function blockOf(height: number) {
  const { network } = session;
  const shown = html`<span class="num">${count(height)}</span>`;
  if (session.height === undefined || !network || height <= session.height) return t.payments.block(shown);
  return t.payments.blockIn(shown, blocksAsTime(height - session.height, network.blockTimeMs));
}
