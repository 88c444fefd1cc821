// The account: its address, what it holds, and the faucet for when that is not enough.

import { html, nothing } from 'lit';
import { attoFil, fil } from './amounts';
import { session } from './session';
import { View } from './view';

/** Below this the faucet is offered without being asked for; a small deal costs far less. */
const LOW_FIL = '1';

export class AccountPanel extends View {
  static override properties = { needed: { attribute: false } };
  /** What the account is about to pay, in FIL. */
  declare needed: bigint | undefined;

  override render() {
    const { client, balance } = session;
    return html`
      <section class="panel" aria-labelledby="account-title">
        <h2 id="account-title">Your account</h2>
        <p class="figure" data-testid="balance">${balance === undefined ? html`<span class="wait">…</span>` : fil(balance)}</p>
        <p class="note">
          ${
            client
              ? html`<sd-copyable .value=${session.account?.address} label="account address" short></sd-copyable>`
              : 'The account’s key is made in this browser.'
          }
        </p>
        ${
          session.account?.bound === false
            ? html`<p class="note" data-testid="account-unbound">
              An earlier version made this account. It stays yours here, but what it signs may count on another network where
              it was used; on new networks this browser has an account for each.
            </p>`
            : nothing
        }
        ${
          this.isLow()
            ? html`<div class="faucet">
              <p class="note">
                ${attoFil(balance ?? '0') === 0n ? 'A new account is empty.' : 'This is little.'} Test FIL is free on this
                network.
              </p>
              <button type="button" class="quiet" data-testid="faucet-button" ?disabled=${session.faucetRuns} @click=${() => session.faucet()}>
                ${session.faucetRuns ? 'Waiting for the next block…' : 'Get test FIL'}
              </button>
            </div>`
            : nothing
        }
        <sd-problem .problem=${session.faucetProblem}></sd-problem>
      </section>
    `;
  }

  private isLow(): boolean {
    if (session.balance === undefined) return false;
    const held = attoFil(session.balance);
    return (
      session.faucetRuns ||
      session.faucetProblem !== undefined ||
      held < attoFil(LOW_FIL) ||
      held < attoFil(this.needed ?? '0')
    );
  }
}
customElements.define('sd-account', AccountPanel);
