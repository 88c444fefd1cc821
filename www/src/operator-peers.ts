// Whether the miner is reached, at which of its addresses, and who is connected.

import { html, nothing } from 'lit';
import { count } from './amounts';
import { shortened } from './copyable';
import { operator } from './operator-state';
import type { AddressStatus, MiningStatus, Peers } from './operator-types';
import { at, fact, name, OperatorView, said, waiting } from './operator-view';
import { o } from './words/operator';

/** Connections that are listed at once. */
const LINES = 60;

export class OperatorPeers extends OperatorView {
  protected override wants() {
    return ['peers', 'status'];
  }

  override render() {
    const [mining, peers, status] = [operator.get('mining'), operator.get('peers'), operator.get('status')];
    if (!mining) return waiting('mining');
    return html`
      <div class="columns">
        <div class="main-column">${addresses(mining)}${peers ? connections(peers) : waiting('peers')}</div>
        <div class="side-column">${link(mining, status?.peerId)}${refused(mining)}</div>
      </div>
    `;
  }
}
customElements.define('sd-op-peers', OperatorPeers);

function addresses({ addresses }: MiningStatus) {
  return html`
    <section class="sheet op-part" aria-labelledby="reach-title">
      <h2 id="reach-title">${o.peers.reach}</h2>
      <p class="note">${o.peers.reachMeans}</p>
      ${addresses.length === 0 ? html`<p>${o.findings.noAddress}</p>` : html`<ul class="op-addresses">${addresses.map(address)}</ul>`}
    </section>
  `;
}

type Found = 'reached' | 'not' | 'untried';

function address(status: AddressStatus) {
  const { address: multiaddr, reach, answers, fault, triedAt, tookMs, outside } = status;
  const found: Found =
    answers === true || outside?.reached === true
      ? 'reached'
      : answers === false || outside?.reached === false
        ? 'not'
        : 'untried';
  const look = { reached: 'state-complete', not: 'state-failed', untried: '' }[found];
  return html`
    <li data-testid="address" data-found=${found}>
      <p class="op-measure"><code>${name(multiaddr)}</code><span class="state ${look}">${o.peers.found[found]}</span></p>
      <p class="note">${o.peers.reaches[reach]}${triedAt === undefined ? nothing : html` · ${o.peers.tried(at(triedAt))}`}${answers === true && tookMs !== undefined ? html` · ${o.peers.took(count(tookMs))}` : nothing}</p>
      ${fault ? html`<p class="op-said">${said(fault.text)}</p><p class="op-todo">${said(fault.advice)}</p>` : nothing}
      ${outside ? html`<p class="note">${(outside.reached ? o.peers.outsideYes : o.peers.outsideNo)(name(shortened(outside.by)), at(outside.at))}</p>` : nothing}
    </li>
  `;
}

function connections({ total, connections }: Peers) {
  const { table } = o.peers;
  return html`
    <section class="sheet op-part" aria-labelledby="peers-title">
      <h2 id="peers-title">${o.peers.connected(total)}</h2>
      ${
        connections.length === 0
          ? html`<p class="note">${o.peers.nobody}</p>`
          : html`<div class="scroll" tabindex="0" role="region" aria-label=${o.peers.table.region}>
              <table class="vouchers op-table">
                <thead><tr><th scope="col">${table.peer}</th><th scope="col">${table.address}</th><th scope="col">${table.who}</th><th scope="col">${table.since}</th></tr></thead>
                <tbody>
                  ${connections
                    .slice(0, LINES)
                    .map(
                      ({ peer, address, isDialed, since }) =>
                        html`<tr data-testid="peer"><td><code title=${peer.slice(0, 200)}>${name(shortened(peer))}</code></td><td><code>${name(address, 60)}</code></td><td>${isDialed ? o.peers.dialed : o.peers.came}</td><td>${at(since)}</td></tr>`,
                    )}
                </tbody>
              </table>
            </div>
            ${total > Math.min(LINES, connections.length) ? html`<p class="note">${o.andMore(total - Math.min(LINES, connections.length))}</p>` : nothing}`
      }
    </section>
  `;
}

function link({ link }: MiningStatus, peerId: string | undefined) {
  return html`
    <section class="panel" aria-labelledby="link-title">
      <h2 id="link-title">${o.peers.link}</h2>
      <p class="note">${o.peers.linkMeans}</p>
      ${link === null ? html`<p>${o.peers.noLink}</p>` : html`<p><sd-copyable .value=${link} .label=${o.peers.link}></sd-copyable></p>`}
      ${peerId === undefined ? nothing : html`<dl class="facts stacked">${fact(o.peers.peerId, html`<sd-copyable .value=${peerId} .label=${o.peers.peerId} short></sd-copyable>`)}</dl>`}
    </section>
  `;
}

function refused({ refused }: MiningStatus) {
  const entries = Object.entries(refused).filter(([, n]) => n > 0);
  if (entries.length === 0) return nothing;
  return html`
    <section class="panel" aria-labelledby="refused-title">
      <h2 id="refused-title">${o.peers.refused}</h2>
      <p class="note">${o.peers.refusedMeans}</p>
      <dl class="facts">${entries.slice(0, 40).map(([limit, n]) => fact(html`<code>${name(limit, 60)}</code>`, html`<span class="num">${count(n)}</span>`))}</dl>
    </section>
  `;
}
