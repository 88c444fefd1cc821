// The proofs of spacetime of a complete deal: how many, when the last one was, and how long until the next window.

import { html } from 'lit';
import type { Deal } from 'sealdrop-client';
import { session } from './session';
import { clock, span } from './times';
import { View } from './view';
import { t } from './words';

export class ProvingPanel extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  private height: number | undefined;
  private heardAt = Date.now();

  protected override ticks(): boolean {
    return true;
  }

  override render() {
    const { proving } = this.deal;
    const proofs = proving?.proofs ?? 0;
    return html`
      <section class="panel" aria-labelledby="proving-title">
        <h2 id="proving-title">${t.proving.title}</h2>
        <p class="figure"><span data-testid="proof-count">${proofs}</span> <small>${t.proving.accepted}</small></p>
        <p class="note">
          ${proving?.lastProvenAt === undefined ? t.proving.firstDue : this.last(proving.lastProvenAt)}
        </p>
        ${this.next()}
      </section>
    `;
  }

  private next() {
    const { proving } = this.deal;
    const { height, network } = session;
    if (!proving || height === undefined || !network) return html`<p class="note">${t.proving.noWindow}</p>`;
    if (height !== this.height) {
      this.height = height;
      this.heardAt = Date.now();
    }
    const { windowStart, windowEnd } = proving;
    const proven = proving.lastProvenAt !== undefined && proving.lastProvenAt >= windowStart;
    const opens = windowStart > height;
    const target = opens ? windowStart : windowEnd;
    const left = Math.max(0, (target - height) * network.blockTimeMs - (Date.now() - this.heardAt));
    return html`
      <div class="countdown">
        <span class="countdown-time num">${clock(left)}</span>
        <span class="note">
          ${(opens ? t.proving.untilOpens : proven ? t.proving.untilClosesProven : t.proving.untilCloses)(windowStart, windowEnd - 1)}
        </span>
      </div>
    `;
  }

  private last(height: number): string {
    const { network } = session;
    if (session.height === undefined || !network || session.height < height) return t.proving.last(height);
    return t.proving.lastAgo(height, span((session.height - height) * network.blockTimeMs));
  }
}
customElements.define('sd-proving', ProvingPanel);
