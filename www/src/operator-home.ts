// The operator's first page: whether all is well and what to do where it is not, what is being worked on, and the orders of every day.

import { html, nothing } from 'lit';
import { bytes, count, fil, pricePerMibDay } from './amounts';
import { atto } from './operator-amounts';
import './operator-more';
import { queue } from './operator-queue';
import { operator } from './operator-state';
import type { MiningStatus } from './operator-types';
import { type Finding, type Verdict, verdictOf } from './operator-verdict';
import { at, bar, fact, OperatorView, said, waiting } from './operator-view';
import { sentence } from './problem-box';
import { operatorLink } from './route';
import { type SealLook, seal } from './seal';
import { blocksAsTime } from './times';
import type { Text } from './words';
import { o } from './words/operator';

/** What it shows, and what all has to be heard before anything is well. */
const WANTED = ['status', 'proofs', 'alerts', 'machine'] as const;

const LOOKS: Readonly<Record<Verdict, SealLook>> = {
  well: 'sealed',
  notice: 'sealed',
  ill: 'broken',
  unknown: 'molten',
};

export class OperatorHome extends OperatorView {
  protected override wants() {
    return WANTED;
  }

  override render() {
    const mining = operator.get('mining');
    return html`
      ${this.verdict()}
      ${
        mining
          ? html`<div class="columns">
              <div class="main-column">${queue(mining.jobs)}${intake(mining)}</div>
              <div class="side-column">${orders(mining)}${facts(mining)}</div>
            </div>`
          : waiting('mining')
      }
    `;
  }

  private verdict() {
    const disk = operator.get('machine')?.disk;
    const { verdict, findings } = verdictOf({
      isLive: operator.standing === 'live',
      mining: operator.heard('mining'),
      isWhole: WANTED.every((path) => operator.get(path) !== undefined && operator.heard(path).problem === undefined),
      proofs: operator.get('proofs'),
      alerts: operator.get('alerts'),
      free: disk?.total ? disk.free / disk.total : undefined,
    });
    const words = o.verdict[verdict];
    return html`
      <section class="sheet op-verdict op-verdict-${verdict}" aria-labelledby="verdict-title" data-testid="verdict" data-verdict=${verdict}>
        ${seal(LOOKS[verdict], verdict === 'unknown' ? undefined : (operator.get('mining')?.address ?? ''), 88)}
        <div>
          <h2 id="verdict-title"><span role="status">${words.title}</span></h2>
          <p>${verdict === 'unknown' && operator.standing !== 'live' ? o.verdict.unheard : words.means}</p>
          ${
            findings.length > 0
              ? html`${verdict === 'unknown' ? html`<p class="op-before">${o.verdict.before}</p>` : nothing}<ul class="op-findings">${findings.map(finding)}</ul>`
              : nothing
          }
        </div>
      </section>
    `;
  }
}
customElements.define('sd-op-home', OperatorHome);

function finding({ weight, what, said: text, todo, saidTodo, since, link }: Finding) {
  return html`
    <li class="op-finding op-finding-${weight}" data-testid="finding" data-weight=${weight}>
      <p class="op-finding-what"><span class="unseen">${o.weights[weight]}</span> ${what} ${since === undefined ? nothing : html`<span class="note">${o.since(at(since))}</span>`}</p>
      ${text ? html`<p class="op-said">${said(text)}</p>` : nothing}
      ${todo || saidTodo ? html`<p class="op-todo">${todo ?? said(saidTodo ?? '')}</p>` : nothing}
      ${link ? html`<p class="more"><a href=${link.to}>${link.text}</a></p>` : nothing}
    </li>
  `;
}

/** How much waits, of what may. */
function intake({ intake, packing }: MiningStatus) {
  const share = (part: number, all: number) => (all > 0 ? part / all : 0);
  return html`
    <section class="sheet op-part" aria-labelledby="intake-title">
      <h2 id="intake-title">${o.intake.title}</h2>
      <p class="note">${o.intake.means}</p>
      <p class="op-measure"><span>${o.intake.bytes}</span><b class="num">${o.of(bytes(intake.waitingBytes), bytes(intake.maxBytes))}</b></p>
      ${bar(share(intake.waitingBytes, intake.maxBytes), intake.open ? '' : 'op-bar-full')}
      <p class="op-measure"><span>${o.intake.deals}</span><b class="num">${o.of(count(intake.waitingDeals), count(intake.maxDeals))}</b></p>
      ${bar(share(intake.waitingDeals, intake.maxDeals), intake.open ? '' : 'op-bar-full')}
      ${packing.map(
        ({ sector, used, size, fill }) => html`
          <p class="op-measure"><a href=${operatorLink('sectors', sector)}>${o.intake.packing(sector)}</a><b class="num">${o.of(bytes(used), bytes(size))}</b></p>
          ${bar(fill / 100)}
        `,
      )}
    </section>
  `;
}

function orders(mining: MiningStatus) {
  const { start, stop, sealNow, more, taking, paused, notTaking } = o.orders;
  const order = (path: string, done: Text) => async () => {
    operator.learn('mining', await operator.order<MiningStatus>(path));
    return done;
  };
  return html`
    <section class="panel op-orders" aria-labelledby="orders-title">
      <h2 id="orders-title">${o.orders.title}</h2>
      <p class=${mining.mining && mining.intake.open ? '' : 'op-resting'} role="status" data-testid="taking" data-taking=${mining.mining}>${mining.mining ? (mining.intake.open ? taking : paused) : notTaking}</p>
      ${operator.may('operate') ? nothing : html`<p class="note" id="orders-why">${sentence(o.needs.operate)}</p>`}
      ${
        mining.mining
          ? html`<sd-order .order=${{
              id: 'mining-stop',
              whyAt: 'orders-why',
              label: stop.label,
              needs: 'operate',
              failed: () => o.orders.stop.failed,
              asks: { title: stop.title, means: stop.means, yes: stop.yes },
              run: order('mining/stop', () => o.orders.stop.done),
            }}></sd-order>`
          : html`<sd-order .order=${{
              id: 'mining-start',
              whyAt: 'orders-why',
              label: start.label,
              needs: 'operate',
              isMain: true,
              failed: () => o.orders.start.failed,
              run: order('mining/start', () => o.orders.start.done),
            }}></sd-order>`
      }
      <hr />
      <p class="note">${sealNow.means(mining.packing.length)}</p>
      <sd-order .order=${{
        id: 'seal-now',
        whyAt: 'orders-why',
        label: sealNow.label,
        needs: 'operate',
        isOff: mining.packing.length === 0,
        failed: () => o.orders.sealNow.failed,
        run: order('seal-now', () => o.orders.sealNow.done),
      }}></sd-order>
      <details>
        <summary>${more}</summary>
        <sd-op-more></sd-op-more>
      </details>
    </section>
  `;
}

function facts(mining: MiningStatus) {
  const status = operator.get('status');
  const proofs = operator.get('proofs');
  const f = o.facts;
  const blockMs = proofs?.blockMs ?? undefined;
  return html`
    <section class="panel" aria-labelledby="facts-title">
      <h2 id="facts-title">${f.title}</h2>
      <p class="figure">${bytes(mining.power)} <small>${f.proven}</small></p>
      <dl class="facts">
        ${fact(f.share, mining.totalPower > 0 ? o.of(bytes(mining.power), bytes(mining.totalPower)) : o.none)}
        ${fact(f.next, nextProof(mining, blockMs))}
        ${status ? fact(f.earned, html`<a href=${operatorLink('earnings')}>${fil(atto(status.earned))}</a>`) : nothing}
        ${status ? fact(f.price, status.ask === null ? f.noAsk : blockMs === undefined ? f.perByteBlock(fil(atto(status.ask.price))) : pricePerMibDay(atto(status.ask.price), blockMs)) : nothing}
        ${fact(f.collateral, fil(atto(mining.collateral)))}
        ${status ? Object.entries(status.deals).map(([state, n]) => fact(html`<a href=${operatorLink('deals')}>${f.deals(o.states[state as keyof typeof o.states] ?? state)}</a>`, html`<span class="num">${count(n)}</span>`)) : nothing}
      </dl>
    </section>
  `;
}

function nextProof({ provingWindow, height }: MiningStatus, blockMs: number | undefined) {
  if (!provingWindow) return o.facts.nothingToProve;
  const [start, end] = provingWindow;
  if (height >= end) return o.facts.windowOver;
  if (height >= start) return o.facts.windowOpen(count(end));
  return blockMs === undefined ? o.block(count(start)) : o.inAbout(blocksAsTime(start - height, blockMs));
}
