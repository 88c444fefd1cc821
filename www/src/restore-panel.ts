// The way back: an account from its words, its deal book from a file.

import { html, nothing } from 'lit';
import * as keys from 'sealdrop-client/account';
import { fieldsOf, passwordField } from './account-forms';
import { ActingView } from './acting';
import { DEALS } from './route';
import { session } from './session';
import { t } from './words';

export class RestorePanel extends ActingView {
  private restored: keys.Restored | undefined;
  private withFile = false;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    // Whatever is shown next is the restored account's.
    if (this.restored) location.reload();
  }

  override render() {
    const { restore, lock } = t.wallet;
    if (this.restored) return this.done(this.restored);
    return html`
      <form class="sheet account-part" aria-labelledby="restore-title" @submit=${this.restore} autocomplete="off">
        <h2 id="restore-title">${restore.title}</h2>
        <p>${restore.what} ${restore.kept}</p>
        <label class="field">${restore.phrase}
          <textarea name="phrase" rows="3" maxlength="2048" autocapitalize="none" autocomplete="off" spellcheck="false" data-testid="restore-phrase"></textarea>
          <span class="note">${restore.phraseNote}</span>
        </label>
        <label class="field">${restore.file}
          <input type="file" name="file" accept=".age" data-testid="restore-file" @change=${this.chosen} />
        </label>
        ${this.withFile ? passwordField('filePassphrase', restore.filePassphrase, 'off', 1, false) : nothing}
        ${session.key?.locked ? passwordField('passphrase', lock.current, 'current-password', 1, false) : nothing}
        <div class="row">
          <button type="submit" class="button" data-testid="restore-button" ?disabled=${this.busy}>${this.busy ? restore.busy : restore.button}</button>
        </div>
        <sd-problem .problem=${this.problem}></sd-problem>
      </form>
    `;
  }

  private done({ known, networks, madeAt }: keys.Restored) {
    const { restore } = t.wallet;
    const [deals, files] = (['deals', 'files'] as const).map((of) => networks.reduce((sum, each) => sum + each[of], 0));
    return html`
      <section class="sheet account-part" aria-labelledby="restore-title" data-testid="restored" data-known=${known}>
        <h2 id="restore-title">${restore.title}</h2>
        <p role="status"><strong>${restore.account(known)}</strong> ${madeAt === undefined ? restore.words : restore.book(deals ?? 0, files ?? 0)}</p>
        <div class="row"><button type="button" class="button" data-testid="restore-open" @click=${open}>${restore.open}</button></div>
      </section>
    `;
  }

  private readonly chosen = (event: Event) => {
    this.withFile = ((event.target as HTMLInputElement).files?.length ?? 0) > 0;
    this.requestUpdate();
  };

  private readonly restore = (event: Event) => {
    event.preventDefault();
    const typed = fieldsOf(event);
    const file = new FormData(event.target as HTMLFormElement).get('file');
    void this.act(
      () => t.wallet.failed.restore,
      async () => {
        // What is restored is no running client's.
        await session.leave();
        const from = {
          phrase: typed('phrase'),
          file: file instanceof File && file.size > 0 ? file : undefined,
          filePassphrase: typed('filePassphrase'),
        };
        try {
          this.restored = await keys.restore(from, { passphrase: typed('passphrase') });
          await session.lookAtKeys();
        } catch (thrown) {
          void session.start();
          throw thrown;
        }
      },
    );
  };
}
customElements.define('sd-restore', RestorePanel);

/** The restored account is opened with the page. */
function open(): void {
  location.hash = DEALS;
  location.reload();
}
