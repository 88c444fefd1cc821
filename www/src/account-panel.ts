// The account: its address, what it holds, and the faucet for when that is not enough.

import { html, nothing } from 'lit';
import { fil } from './amounts';
import { ACCOUNT } from './route';
import { session } from './session';
import { View } from './view';
import { t } from './words';

/** Below this the faucet is offered without being asked for; a small deal costs far less. */
const LOW = 10n ** 18n;

export class AccountPanel extends View {
  static override properties = { needed: { attribute: false } };
  /** What the account is about to pay, in FIL. */
  declare needed: bigint | undefined;

  override render() {
    const { client, balance } = session;
    return html`
      <section class="panel" aria-labelledby="account-title">
        <h2 id="account-title">${t.account.title}</h2>
        <p class="figure" data-testid="balance">${balance === undefined ? html`<span class="wait">…</span>` : fil(balance)}</p>
        <p class="note">
          ${
            client
              ? html`<sd-copyable .value=${session.account?.address} .label=${t.account.address} short></sd-copyable>`
              : t.account.keyHere
          }
        </p>
        ${reminder()}
        ${
          session.account?.bound === false
            ? html`<p class="note" data-testid="account-unbound">
              ${t.account.unbound}
            </p>`
            : nothing
        }
        ${
          this.isLow()
            ? html`<div class="faucet">
              <p class="note">
                ${(balance ?? 0n) === 0n ? t.account.empty : t.account.little}
              </p>
              <button type="button" class="quiet" data-testid="faucet-button" ?disabled=${session.faucetRuns} @click=${() => session.faucet()}>
                ${session.faucetRuns ? t.account.waiting : t.account.faucet}
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
    const held = session.balance;
    return session.faucetRuns || session.faucetProblem !== undefined || held < LOW || held < (this.needed ?? 0n);
  }
}
customElements.define('sd-account', AccountPanel);

/** After the first deal, until the account and its book are somewhere else, too. */
export function reminder() {
  const { key, deals, files } = session;
  if (!key || (deals?.length ?? 0) + files.length === 0) return nothing;
  const { phraseAt, fileAt } = key.backups;
  const { text, link, bookText, bookLink } = t.wallet.reminder;
  if (phraseAt === undefined) {
    return html`<p class="reminder" data-testid="account-reminder">${text} <a href=${ACCOUNT}>${link}</a></p>`;
  }
  return fileAt === undefined
    ? html`<p class="reminder" data-testid="account-reminder">${bookText} <a href=${ACCOUNT}>${bookLink}</a></p>`
    : nothing;
}
