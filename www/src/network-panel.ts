// The network and its miners, small: height, block time, and for each miner what it holds and has proven.

import { html, nothing } from 'lit';
import type { MinerInfo } from 'sealdrop-client';
import { bytes, count, pricePerMibDay } from './amounts';
import { shortened } from './copyable';
import { session } from './session';
import { blocksAsTime, span } from './times';
import { View } from './view';
import { t } from './words';
import { unit } from './words/numbers';

export class NetworkPanel extends View {
  override render() {
    const { network, height, miners } = session;
    return html`
      <section class="panel" aria-labelledby="network-title" data-testid="network-panel">
        <h2 id="network-title">${t.network.title}</h2>
        <dl class="facts">
          <div><dt>${t.network.name}</dt><dd>${network?.network ?? '…'}</dd></div>
          <div>
            <dt>${t.network.chain}</dt>
            <dd>
              <code title=${session.choice.chain ?? ''}>${host(session.choice.chain)}</code>
              <button type="button" class="plain" data-testid="change-chain" @click=${session.chooseAgain}>${t.network.change}</button>
            </dd>
          </div>
          <div><dt>${t.network.height}</dt><dd class="num">${height === undefined ? '…' : count(height)}</dd></div>
          <div><dt>${t.network.blockEvery}</dt><dd>${network ? blockTime(network.blockTimeMs) : '…'}</dd></div>
        </dl>
        ${
          miners === undefined
            ? nothing
            : miners.length === 0
              ? html`<p class="note">${t.network.noMiner}</p>`
              : miners.map((miner) => this.miner(miner, miners.length === 1))
        }
      </section>
    `;
  }

  /** All of the only miner, or one of several under its name. */
  private miner(miner: MinerInfo, isOnly: boolean) {
    const name = t.network.miner(html`<code title=${miner.address}>${shortened(miner.address)}</code>`);
    if (isOnly) return html`<h3>${name}</h3>${this.facts(miner)}`;
    return html`<details><summary>${name}</summary>${this.facts(miner)}</details>`;
  }

  private facts(miner: MinerInfo) {
    const blockTimeMs = session.network?.blockTimeMs ?? 1000;
    return html`
      <dl class="facts">
        <div><dt>${t.network.sectorSize}</dt><dd>${bytes(miner.sectorSize)}</dd></div>
        <div><dt>${t.network.proven}</dt><dd>${bytes(miner.power)}</dd></div>
        <div><dt>${t.network.price}</dt><dd>${miner.price === undefined ? t.network.noOffer : pricePerMibDay(miner.price, blockTimeMs)}</dd></div>
        <div><dt>${t.network.proofs}</dt><dd class="num">${count(miner.posts)}</dd></div>
        <div><dt>${t.network.provesNext}</dt><dd>${this.window(miner, blockTimeMs)}</dd></div>
      </dl>
      <sd-reach .miner=${miner}></sd-reach>
    `;
  }

  private window(miner: MinerInfo, blockTimeMs: number) {
    const { height } = session;
    const window = miner.provingWindow;
    if (miner.slashedAt !== undefined) return t.network.missed(miner.slashedAt);
    if (!window || height === undefined) return t.network.nothingToProve;
    if (height >= window.end) return t.network.windowPassed;
    if (height >= window.start) return t.network.nowUntil(window.end);
    return t.network.in(blocksAsTime(window.start - height, blockTimeMs));
  }
}
customElements.define('sd-network', NetworkPanel);

/** Host and port of a URL. */
function host(url: string | undefined): string {
  return url ? new URL(url).host : '…';
}

function blockTime(ms: number): string {
  return ms < 1000 ? unit(ms / 1000, 'second', 1) : span(ms);
}
