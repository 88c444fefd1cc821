// What the miner earned and is still promised, channel by channel.

import { html, nothing } from 'lit';
import { count, fil } from './amounts';
import { shortened } from './copyable';
import { atto } from './operator-amounts';
import { operator } from './operator-state';
import type { Earnings } from './operator-types';
import { bar, name, OperatorView, waiting } from './operator-view';
import { o } from './words/operator';

export class OperatorEarnings extends OperatorView {
  protected override wants() {
    return ['earnings'];
  }

  override render() {
    const earnings = operator.get('earnings');
    if (!earnings) return waiting('earnings');
    const { earned, outstanding, isWhole, channels } = earnings;
    return html`
      <div class="op-figures" data-testid="earnings">
        <section class="panel"><h2>${o.earnings.earned}</h2><p class="figure">${fil(atto(earned))}</p><p class="note">${o.earnings.earnedMeans}</p></section>
        <section class="panel"><h2>${o.earnings.outstanding}</h2><p class="figure">${fil(atto(outstanding))}</p><p class="note">${o.earnings.outstandingMeans}</p>${isWhole ? nothing : html`<p class="note" data-testid="more-earnings">${o.earnings.moreThanShown}</p>`}</section>
      </div>
      ${channels.length === 0 ? html`<p class="empty sheet">${o.earnings.noChannels}</p>` : this.channels(channels)}
    `;
  }

  private channels(channels: Earnings['channels']) {
    return html`
      <section class="sheet op-part" aria-labelledby="channels-title">
        <h2 id="channels-title">${o.earnings.channels(channels.length)}</h2>
        <ul class="op-channels">${channels.map(channel)}</ul>
      </section>
    `;
  }
}
customElements.define('sd-op-earnings', OperatorEarnings);

function channel({ payer, channel, deals, promised, redeemed }: Earnings['channels'][number]) {
  const [all, got] = [atto(promised), atto(redeemed)];
  const share = all === 0n ? 0 : Number((got * 10_000n) / all) / 10_000;
  return html`
    <li data-testid="channel">
      <p class="op-measure">
        <span>${o.earnings.channel(html`<span class="num">${count(channel)}</span>`, name(shortened(payer)))} <span class="note">${o.dealsOf(deals)}</span></span>
        <b class="num">${o.of(fil(got), fil(all))}</b>
      </p>
      ${bar(share, 'op-bar-good')}
    </li>
  `;
}
