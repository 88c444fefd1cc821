// How a deal is paid: what is set aside, due and redeemed, the vouchers one by one, and the money of a failed attempt on
// its way back.

import { html, nothing } from 'lit';
import type { Channel, Deal, Payments, Refund, Voucher } from 'sealdrop-client';
import { attoFil, count, fil } from './amounts';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { blocksAsTime } from './times';
import { View } from './view';

/** Least milliseconds between two looks at the channel; it changes with blocks. */
const LOOK_MS = 4_000;
/** How long "Copied" is shown. */
const SHOWN_MS = 1_500;
/** Steps of a bar's width that are told apart, so that shares of attoFIL need no fractions. */
const FINE = 10_000n;

const CHANNEL_WORDS: Record<Channel['state'], string> = {
  open: 'open',
  cancelled: 'cancelled by you',
  ended: 'ended',
  closed: 'closed; what was left went back to you',
};

const VOUCHER_WORDS: Record<Voucher['state'], string> = {
  ahead: 'ahead',
  due: 'due',
  redeemed: 'redeemed',
  expired: 'expired',
  settled: 'settled',
  invalid: 'worthless',
};

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
  private said = '';

  protected override updated(): void {
    void this.look();
  }

  override render() {
    const { deal } = this;
    if (this.of !== deal.id) this.found = this.problem = undefined;
    const { found } = this;
    return html`
      <section class="sheet payments" aria-labelledby="payments-title" data-testid="payments" data-channel=${found?.channel?.state ?? nothing}>
        <h2 id="payments-title">The payment</h2>
        ${deal.refunds.map((refund) => refundPart(refund))}
        ${deal.state === 'failed' ? failedNote(deal) : found === undefined ? this.waiting() : this.account(found)}
        <sd-problem .problem=${this.problem} .retry=${this.again}></sd-problem>
      </section>
    `;
  }

  private waiting() {
    return this.problem ? nothing : html`<p class="wait">Asking the chain…</p>`;
  }

  /** The present attempt's money. */
  private account(found: Payments) {
    if (attoFil(found.total) === 0n)
      return html`<p class="note">This deal is free: nothing is set aside, and there are no vouchers.</p>`;
    const { channel } = found;
    if (!channel)
      return html`<p class="note">${fil(found.total)} will be set aside in a payment channel on the chain.</p>`;
    return html`
      <p class="note">
        ${fil(channel.amount)} set aside on the chain. The miner draws on it with your signed vouchers, as they fall due and
        while it proves that it stores the file.
      </p>
      ${bar(found)}
      <dl class="facts">
        <div><dt>Channel</dt><dd><span class="num">no. ${channel.id}</span>, ${CHANNEL_WORDS[channel.state]}</dd></div>
        ${
          channel.eol === undefined || channel.state === 'closed'
            ? nothing
            : html`<div><dt>${channel.state === 'ended' ? 'Ended' : 'Ends'}</dt><dd>block <span class="num">${count(channel.eol)}</span>${when(channel.eol)}</dd></div>`
        }
      </dl>
      ${found.vouchers.length > 0 ? this.vouchers(found.vouchers) : nothing}
    `;
  }

  private vouchers(vouchers: readonly Voucher[]) {
    return html`
      <details>
        <summary>${vouchers.length === 1 ? 'The voucher' : `The ${count(vouchers.length)} vouchers`}</summary>
        <div class="scroll">
          <table class="vouchers">
            <thead>
              <tr><th scope="col">Pays up to</th><th scope="col">From block</th><th scope="col">Condition</th><th scope="col">State</th></tr>
            </thead>
            <tbody>
              ${vouchers.map(
                (voucher) => html`<tr data-testid="voucher" data-state=${voucher.state}>
                  <td class="num">${fil(voucher.amount)}</td>
                  <td class="num">${count(voucher.validAt)}</td>
                  <td>${voucher.conditional ? 'proof' : 'none'}</td>
                  <td><span class="voucher-state voucher-${voucher.state}">${VOUCHER_WORDS[voucher.state]}</span></td>
                </tr>`,
              )}
            </tbody>
          </table>
        </div>
        <p class="note">Amounts include those before. With “proof”, the miner must show on the chain that it holds the file.</p>
        <button type="button" class="quiet" data-testid="export-button" @click=${this.copy}>
          ${this.said || 'Copy the vouchers as text'}
        </button>
        <span class="unseen" role="status">${this.said ? `Vouchers: ${this.said}` : ''}</span>
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
      this.problem =
        session.problem || this.found ? undefined : problemOf('The payments could not be looked up', error);
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
      this.said = 'Copied';
    } catch (error) {
      this.problem = problemOf('The vouchers could not be copied', error);
    }
    this.requestUpdate();
    setTimeout(() => {
      this.said = '';
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
  const whole = attoFil(total);
  const share = (amount: bigint) => `${Number((attoFil(amount) * FINE) / whole) / Number(FINE / 100n)}%`;
  return html`
    <div class="paid" role="img" aria-label="${fil(redeemed)} of ${fil(total)} redeemed, ${fil(due)} due">
      <i class="paid-due" .style=${`width:${share(due)}`}></i><i class="paid-redeemed" .style=${`width:${share(redeemed)}`}></i>
    </div>
    <p class="paid-key">
      <span><i class="key key-redeemed"></i>redeemed <b class="num" data-testid="redeemed">${fil(redeemed)}</b></span>
      <span><i class="key key-due"></i>due by now <b class="num" data-testid="due">${fil(due)}</b></span>
      <span><i class="key"></i>in all <b class="num">${fil(total)}</b></span>
    </p>
  `;
}

/** A failed attempt's money on its way back. */
function refundPart(refund: Refund) {
  const back = refund.state === 'returned';
  return html`
    <div class="refund ${back ? 'refund-back' : ''}" data-testid="refund" data-state=${refund.state} role="status">
      <p class="refund-title">
        <span>${back ? 'Returned to your account' : 'On its way back to your account'}</span>
        <b class="num">${fil(refund.amount)}</b>
      </p>
      <p class="note">${refundWords(refund)}</p>
      ${
        refund.error
          ? html`<sd-problem .problem=${problemOf('Delayed; it is tried again automatically', refund.error)} calm></sd-problem>`
          : nothing
      }
    </div>
  `;
}

function refundWords({ state, channel, until, earned }: Refund) {
  const name = `Payment channel no. ${channel}`;
  if (state === 'cancelling') return `${name} of the failed attempt is being closed.`;
  if (state === 'reclaiming') return `${name} has ended; the money is being taken out of it.`;
  if (state === 'returned') return `${name} is closed.`;
  const end = html`block <span class="num">${count(until ?? 0)}</span>${until === undefined ? nothing : when(until)}`;
  return earned
    ? html`The chain did not cancel ${name.toLowerCase()}, because the miner has shown that it stores the file. It ends at ${end}.`
    : html`${name} is cancelled and ends at ${end}; until then the chain leaves the miner time to object. Keep this page
        open then, or come back later: nothing is lost.`;
}

function failedNote(deal: Deal) {
  if (deal.refunds.length > 0) return nothing;
  return isRefunding(deal)
    ? html`<p class="note" role="status">Its payment channel may just be opening. What is in it comes back by itself.</p>`
    : html`<p class="note">Nothing was set aside for this attempt, so nothing has to come back.</p>`;
}

/** A height as a span from now, in words that follow it. */
function when(height: number): string {
  const { network } = session;
  if (session.height === undefined || !network || height <= session.height) return '';
  return `, in about ${blocksAsTime(height - session.height, network.blockTimeMs)}`;
}
