// The account: whether it is safe, its words, its backup file, its passphrase, and the way back on another machine.

import { html, nothing } from 'lit';
import * as keys from 'sealdrop-client/account';
import { different, fieldsOf, passwordField } from './account-forms';
import { ActingView } from './acting';
import { fil } from './amounts';
import { type Text, t, textOf } from './words';
import './lock-panel';
import './phrase-panel';
import './restore-panel';
import { saveBlob } from './key-file';
import { STORE } from './route';
import { session } from './session';
import { moment } from './times';

export class AccountPage extends ActingView {
  private own = false;
  private said: Text = '';

  override connectedCallback(): void {
    super.connectedCallback();
    void session.lookAtKeys();
  }

  override render() {
    const { key } = session;
    return html`
      <p class="back"><a href=${STORE}>${t.wallet.back}</a></p>
      <div class="page-title"><h1>${t.wallet.title}</h1><p>${t.wallet.lead}</p></div>
      <div class="columns account-columns">
        <div class="main-column">
          <sd-phrase></sd-phrase>
          ${key ? this.file(key.locked) : nothing}
          <sd-lock></sd-lock>
          <sd-restore></sd-restore>
        </div>
        <div class="side-column">${this.facts()}${this.safety()}${this.others()}</div>
      </div>
    `;
  }

  private facts() {
    const { client, balance } = session;
    if (!client) return nothing;
    return html`
      <section class="panel" aria-labelledby="held-title">
        <h2 id="held-title">${t.wallet.held}</h2>
        <p class="figure">${balance === undefined ? html`<span class="wait">…</span>` : fil(balance)}</p>
        <p class="note"><sd-copyable .value=${session.account?.address} .label=${t.account.address} short></sd-copyable></p>
      </section>
    `;
  }

  private safety() {
    const { key } = session;
    if (!key) return nothing;
    const { phraseAt, fileAt } = key.backups;
    const { safety } = t.wallet;
    const said = phraseAt ? (fileAt ? safety.both : safety.phrase) : fileAt ? safety.file : safety.none;
    return html`
      <section class="panel" aria-labelledby="safety-title" data-testid="account-safety" data-phrase=${phraseAt !== undefined} data-file=${fileAt !== undefined}>
        <h2 id="safety-title">${safety.title}</h2>
        <p class=${phraseAt ? '' : 'held'}>${said}</p>
        <dl class="facts stacked">
          <div><dt>${safety.phraseAt}</dt><dd>${phraseAt ? moment(phraseAt) : safety.never}</dd></div>
          <div><dt>${safety.fileAt}</dt><dd>${fileAt ? moment(fileAt) : safety.never}</dd></div>
          <div><dt>${safety.at}</dt><dd data-testid="account-at-rest">${key.locked ? safety.locked : key.encrypted ? safety.encrypted : safety.plain}</dd></div>
        </dl>
      </section>
    `;
  }

  private file(locked: boolean) {
    const { file, lock } = t.wallet;
    return html`
      <form class="sheet account-part" aria-labelledby="file-title" @submit=${this.save}>
        <h2 id="file-title">${file.title}</h2>
        <p>${file.what}</p>
        ${locked ? passwordField('passphrase', lock.current, 'current-password') : nothing}
        <label class="key-have">
          <input type="checkbox" data-testid="backup-own" .checked=${this.own} @change=${this.turn} /> ${file.own}
        </label>
        ${this.own ? html`${passwordField('next', lock.next, 'new-password', 12)}${passwordField('again', lock.again, 'new-password', 12)}` : nothing}
        <div class="row">
          <button type="submit" class="button" data-testid="backup-save" ?disabled=${this.busy}>${this.busy ? file.saving : file.save}</button>
          <span class="note" role="status" data-testid="backup-said">${textOf(this.said)}</span>
        </div>
        <sd-problem .problem=${this.problem}></sd-problem>
      </form>
    `;
  }

  private others() {
    const accounts = session.keys;
    if (accounts.length < 2) return nothing;
    const { others } = t.wallet;
    return html`
      <section class="panel" aria-labelledby="others-title" data-testid="account-others">
        <h2 id="others-title">${others.title}</h2>
        <ul class="account-list">
          ${accounts.map(
            ({ id, active, createdAt }) => html`<li>
              <span><code>${id.slice(0, 8)}</code> <span class="note">${others.of(moment(createdAt))}</span></span>
              ${active ? html`<span class="note">${others.used}</span>` : html`<button type="button" class="quiet" @click=${() => this.use(id)}>${others.use}</button>`}
            </li>`,
          )}
        </ul>
      </section>
    `;
  }

  private readonly turn = (event: Event) => {
    this.own = (event.target as HTMLInputElement).checked;
    this.requestUpdate();
  };

  private readonly save = (event: Event) => {
    event.preventDefault();
    const typed = fieldsOf(event);
    void this.act(
      () => t.wallet.failed.file,
      async () => {
        this.said = '';
        if (this.own && typed('next') !== typed('again')) throw different();
        const made = await keys.backup({
          passphrase: typed('passphrase'),
          filePassphrase: this.own ? typed('next') : undefined,
        });
        const name = `sealdrop-backup-${new Date().toISOString().slice(0, 10)}.age`;
        saveBlob(name, made);
        this.said = () => t.wallet.file.saved(name);
        await session.lookAtKeys();
      },
    );
  };

  private use(id: string): void {
    void this.act(
      () => t.wallet.failed.use,
      async () => {
        await keys.use(id);
        location.reload();
      },
    );
  }
}
customElements.define('sd-account-page', AccountPage);
