// How a miner is reached from this page: over which of its addresses, and for each other one why not and what to do.

import { html, nothing } from 'lit';
import type { MinerInfo, Route, RouteAddress, Transport } from 'sealdrop-client';
import { inEnglish, sentence } from './problem-box';
import { session } from './session';
import { View } from './view';
import { engineWords, t } from './words';

/** Names that are the same in every language. */
const NAMES: Record<Exclude<Transport, 'secure-web-socket'>, string> = {
  tcp: 'TCP',
  quic: 'QUIC',
  'web-transport': 'WebTransport',
  'web-socket': 'WebSocket',
  'web-rtc-direct': 'WebRTC',
};
const named = (transport: Transport) =>
  transport === 'secure-web-socket' ? t.reach.secureWebSocket : NAMES[transport];

export class Reach extends View {
  static override properties = { miner: { attribute: false } };
  declare miner: MinerInfo | undefined;
  private route: Route | undefined;
  /** What it was asked for, so that it is asked once with each refresh. */
  private asked = '';
  private connecting = false;

  override render() {
    const { route } = this;
    if (!route) return nothing;
    const [first] = route.addresses;
    return html`
      <div class="reach" data-testid="reach" data-connected=${route.connected} data-transport=${first?.transport ?? ''} data-obstacle=${obstacle(route) ?? ''}>
        <p class="reach-now ${route.connected ? 'link-up' : ''}">
          <i class="pulse" aria-hidden="true"></i>${summary(route)}
        </p>
        ${this.question(route)}
        <details>
          <summary>${t.reach.addresses}</summary>
          <ul class="addresses">${route.addresses.map((each) => address(each))}</ul>
        </details>
      </div>
    `;
  }

  protected override updated(): void {
    void this.ask(false);
  }

  /** The browser asks its user only when something is dialled. */
  private question(route: Route) {
    const asks = !route.connected && route.addresses.some((each) => each.obstacle === 'permission-pending');
    const denied = !route.connected && obstacle(route) === 'permission-denied';
    if (!asks && !denied) return nothing;
    const because = route.addresses.find(
      (each) => each.obstacle === (asks ? 'permission-pending' : 'permission-denied'),
    );
    return html`
      <p class="note">${obstacleWords(because?.obstacle, because?.hint ?? '')}</p>
      ${
        asks
          ? html`<button type="button" class="quiet" data-testid="connect-button" ?disabled=${this.connecting} @click=${() => this.ask(true)}>
              ${this.connecting ? t.reach.connecting : t.reach.connect}
            </button>`
          : nothing
      }
    `;
  }

  private async ask(connect: boolean): Promise<void> {
    const { miner } = this;
    if (!miner || !session.client) return;
    const question = `${miner.peerId} ${session.refreshes}`;
    if (!connect && question === this.asked) return;
    this.asked = question;
    this.connecting = connect;
    if (connect) this.requestUpdate();
    try {
      this.route = await session.client.route(miner, { connect });
    } catch {
      // The page says already that the chain is away.
    }
    if (connect) this.connecting = false;
    this.requestUpdate();
  }
}
customElements.define('sd-reach', Reach);

/** The reason that tells most, where there is no way to the miner. */
function obstacle(route: Route): string | undefined {
  if (route.connected || route.addresses.some((each) => each.standing === 'next')) return undefined;
  const telling = ['permission-denied', 'permission-pending', 'mixed-content', 'insecure-page', 'missing-api'];
  const found = route.addresses.map((each) => each.obstacle).filter((each) => each !== undefined);
  return telling.find((each) => found.some((other) => other === each)) ?? found[0];
}

function summary(route: Route): string {
  const [first] = route.addresses;
  if (first === undefined) return t.reach.noAddress;
  if (route.connected) return t.reach.over(name(first));
  if (first.standing === 'next') return t.reach.nextOver(name(first));
  return t.reach.cannot;
}

function address({ address, standing, transport, obstacle: stands, message, hint }: RouteAddress) {
  const said = () => obstacleWords(stands, message);
  const words = {
    used: () => sentence(t.reach.used),
    next: () => (message ? said() : sentence(t.reach.usable)),
    failed: () => t.reach.failed(said()),
    'left-out': said,
  };
  return html`
    <li data-testid="address" data-standing=${standing} data-transport=${transport ?? ''}>
      <strong>${transport ? named(transport) : t.reach.unknown}</strong> <code title=${address}>${place(address)}</code>
      <span class="note">${words[standing]()} ${hint && !engineWords() ? sentence(hint) : nothing}</span>
    </li>
  `;
}

function name({ transport, address }: RouteAddress): string {
  return t.reach.at(transport ? named(transport) : t.reach.unknownTransport, place(address));
}

/** What stands in the way, in the language of the page, or as the client says it. */
function obstacleWords(obstacle: RouteAddress['obstacle'], said: string) {
  const known = obstacle && engineWords()?.obstacles[obstacle];
  return known ? sentence(known) : inEnglish(said);
}

/** Host and port of a multiaddr: the rest is names of protocols and hashes. */
function place(address: string): string {
  const [, kind, host = '', , port = ''] = address.split('/');
  return `${kind === 'ip6' ? `[${host}]` : host}${port ? `:${port}` : ''}`;
}
