// The account's passphrase: set, changed, removed; and the way in when it is locked.

import { html, nothing } from 'lit';
import * as keys from 'sealdrop-client/account';
import { different, fieldsOf, passwordField } from './account-forms';
import { ActingView } from './acting';
import { ACCOUNT } from './route';
import { session } from './session';
import { type Text, t, textOf } from './words';

export class LockPanel extends ActingView {
  private said: Text = '';

  override render() {
    const { key } = session;
    const { lock } = t.wallet;
    if (!key) return nothing;
    const ready = key.locked || key.backups.phraseAt !== undefined;
    return html`
      <form class="sheet account-part" aria-labelledby="lock-title" @submit=${this.set}>
        <h2 id="lock-title">${lock.title}</h2>
        <p>${lock.what} ${lock.forgotten}</p>
        ${ready ? this.fields(key.locked) : html`<p class="held">${lock.needsPhrase}</p>`}
        <p class="note" role="status" data-testid="lock-said">${textOf(this.said)}</p>
        <sd-problem .problem=${this.problem}></sd-problem>
      </form>
    `;
  }

  private fields(locked: boolean) {
    const { lock } = t.wallet;
    return html`
      ${locked ? passwordField('current', lock.current, 'current-password') : nothing}
      ${passwordField('next', lock.next, 'new-password', keys.LEAST_PASSPHRASE)}
      ${passwordField('again', lock.again, 'new-password', keys.LEAST_PASSPHRASE)}
      <div class="row">
        <button type="submit" class="button" data-testid="lock-set" ?disabled=${this.busy}>${locked ? lock.change : lock.set}</button>
        ${
          locked
            ? html`<button type="submit" class="quiet" name="remove" formnovalidate data-testid="lock-remove" ?disabled=${this.busy}>${lock.remove}</button>
              <button type="button" class="quiet" data-testid="lock-now" @click=${() => location.reload()}>${lock.now}</button>`
            : nothing
        }
      </div>
    `;
  }

  private readonly set = (event: SubmitEvent) => {
    event.preventDefault();
    const typed = fieldsOf(event);
    const form = event.target as HTMLFormElement;
    const removes = (event.submitter as HTMLButtonElement | null)?.name === 'remove';
    this.said = '';
    void this.act(
      () => t.wallet.failed.lock,
      async () => {
        if (!removes && typed('next') !== typed('again')) throw different();
        await keys.setPassphrase(removes ? undefined : typed('next'), { passphrase: typed('current') });
        this.said = () => (removes ? t.wallet.lock.removed : t.wallet.lock.done);
        form.reset();
        await session.lookAtKeys();
      },
    );
  };
}
customElements.define('sd-lock', LockPanel);

/** In place of a page while the account is locked. */
export class Unlock extends ActingView {
  override render() {
    const { unlock, lock } = t.wallet;
    return html`
      <form class="sheet chain-form" aria-labelledby="unlock-title" data-testid="unlock" @submit=${this.open}>
        <h1 id="unlock-title">${unlock.title}</h1>
        <p>${unlock.what}</p>
        ${passwordField('passphrase', lock.current, 'current-password')}
        <div class="row"><button type="submit" class="button" data-testid="unlock-button" ?disabled=${this.busy}>${unlock.button}</button></div>
        <sd-problem .problem=${this.problem}></sd-problem>
        <p class="note"><a href=${ACCOUNT}>${unlock.forgotten}</a></p>
      </form>
    `;
  }

  private readonly open = (event: Event) => {
    event.preventDefault();
    const typed = fieldsOf(event);
    void this.act(
      () => t.wallet.failed.unlock,
      () => session.unlock(typed('passphrase') ?? ''),
    );
  };
}
customElements.define('sd-unlock', Unlock);
