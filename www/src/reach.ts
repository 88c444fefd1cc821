// How a miner is reached from this page: over which of its addresses, and for each other one why not and what to do.

import { html, nothing } from 'lit';
import type { MinerInfo, Route, RouteAddress, Transport } from 'sealdrop-client';
import { sentence } from './problem-box';
import { session } from './session';
import { View } from './view';

const NAMES: Record<Transport, string> = {
  tcp: 'TCP',
  quic: 'QUIC',
  'web-transport': 'WebTransport',
  'secure-web-socket': 'secure WebSocket',
  'web-socket': 'WebSocket',
  'web-rtc-direct': 'WebRTC',
};

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
          <summary>Its addresses, and which is used</summary>
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
      <p class="note">${sentence(because?.hint ?? '')}</p>
      ${
        asks
          ? html`<button type="button" class="quiet" data-testid="connect-button" ?disabled=${this.connecting} @click=${() => this.ask(true)}>
              ${this.connecting ? 'Connecting…' : 'Connect'}
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
  if (first === undefined) return 'It has announced no address.';
  if (route.connected) return `Reached over ${name(first)}`;
  if (first.standing === 'next') return `Not connected now; next over ${name(first)}`;
  return 'Cannot be reached from this page';
}

function address({ address, standing, transport, message, hint }: RouteAddress) {
  const words = { used: 'in use', next: message || 'can be used', failed: `failed: ${message}`, 'left-out': message };
  return html`
    <li data-testid="address" data-standing=${standing} data-transport=${transport ?? ''}>
      <strong>${transport ? NAMES[transport] : 'unknown'}</strong> <code title=${address}>${place(address)}</code>
      <span class="note">${sentence(words[standing])} ${hint ? sentence(hint) : nothing}</span>
    </li>
  `;
}

function name({ transport, address }: RouteAddress): string {
  return `${transport ? NAMES[transport] : 'an unknown transport'}, ${place(address)}`;
}

/** Host and port of a multiaddr: the rest is names of protocols and hashes. */
function place(address: string): string {
  const [, kind, host = '', , port = ''] = address.split('/');
  return `${kind === 'ip6' ? `[${host}]` : host}${port ? `:${port}` : ''}`;
}
