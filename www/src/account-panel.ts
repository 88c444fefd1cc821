// The account: its address, what it holds, and the faucet for when that is not enough.

import { html, nothing } from 'lit';
import { attoFil, fil } from './amounts';
import { problemOf, type Problem } from './problem';
import { session } from './session';
import { View } from './view';

/** Below this the faucet is offered without being asked for; a small deal costs far less. */
const LOW_FIL = '1';

export class AccountPanel extends View {
  static override properties = { needed: { attribute: false } };
  /** What the account is about to pay, in FIL. */
  declare needed: string | undefined;
  private asking = false;
  private problem: Problem | undefined;

  override render() {
    const { client, balance } = session;
    return html`
      <section class="panel" aria-labelledby="account-title">
        <h2 id="account-title">Your account</h2>
        <p class="figure" data-testid="balance">${balance === undefined ? html`<span class="wait">…</span>` : fil(balance)}</p>
        <p class="note">
          ${client
            ? html`<sd-copyable .value=${client.address} label="account address" short></sd-copyable>`
            : 'The account’s key is made in this browser.'}
        </p>
        ${this.isLow()
          ? html`<div class="faucet">
              <p class="note">
                ${attoFil(balance ?? '0') === 0n ? 'A new account is empty.' : 'This is little.'} Test FIL is free on this
                network.
              </p>
              <button type="button" class="quiet" data-testid="faucet-button" ?disabled=${this.asking} @click=${this.ask}>
                ${this.asking ? 'Waiting for the next block…' : 'Get test FIL'}
              </button>
            </div>`
          : nothing}
        <sd-problem .problem=${this.problem}></sd-problem>
      </section>
    `;
  }

  private isLow(): boolean {
    if (session.balance === undefined) return false;
    const held = attoFil(session.balance);
    return this.asking || held < attoFil(LOW_FIL) || held < attoFil(this.needed ?? '0');
  }

  private readonly ask = async () => {
    this.asking = true;
    this.problem = undefined;
    this.requestUpdate();
    try {
      await session.client?.faucet();
    } catch (error) {
      this.problem = problemOf('No test FIL arrived', error);
    }
    await session.refresh();
    this.asking = false;
    this.requestUpdate();
  };
}
customElements.define('sd-account', AccountPanel);
