// A file that is not in this browser's book: its list of files is asked of the miners, opened with a key where it is encrypted, and what is in
// it can be downloaded.

import { html, nothing, type PropertyValues } from 'lit';
import type { OpenedFile, OpenWith } from 'sealdrop-client';
import { bytes } from './amounts';
import { KEY_FILE_BYTES } from './key-file';
import { isAborted, type Problem, problemOf } from './problem';
import { DEALS } from './route';
import { saveFile } from './saving';
import { seal } from './seal';
import { session } from './session';
import { View } from './view';
import { t } from './words';

/** Lines that are shown. */
const LINES = 200;

export class ForeignFile extends View {
  static override properties = { fileId: { attribute: false } };
  declare fileId: string;
  private opened: OpenedFile | undefined;
  private key: OpenWith = {};
  private busy = false;
  /** Of the question that counts: an answer about another file is nobody's. */
  private asked: object | undefined;
  private problem: Problem | undefined;
  private saved: string | undefined;
  private running: { path: string; done: number; stop: AbortController } | undefined;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.running?.stop.abort();
  }

  /** Another file is another one in all: what opened the last one, and what was found in it, must not stand under its name. */
  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('fileId')) return;
    this.running?.stop.abort();
    this.running = this.opened = this.problem = this.saved = this.asked = undefined;
    this.key = {};
    this.busy = false;
  }

  override render() {
    const { opened } = this;
    return html`<div class="empty sheet foreign" data-testid="foreign">
      ${opened ? seal('sealed', opened.id, 88) : seal('broken', undefined, 88)}
      <h1>${this.heading()}</h1>
      ${
        opened
          ? nothing
          : html`<p>${t.foreign.lead}</p>
            <p class="row foreign-row">
              <button type="button" class="button" data-testid="foreign-look" ?disabled=${this.busy} @click=${() => this.look()}>${this.busy ? t.foreign.asking : t.foreign.ask}</button>
              <a class="button quiet" href=${DEALS}>${t.common.toBook}</a>
            </p>`
      }
      ${opened?.encrypted ? this.keys() : nothing}
      <sd-problem .problem=${this.problem}></sd-problem>
      ${opened ? this.list(opened) : nothing}
    </div>`;
  }

  private hasKey(): boolean {
    return this.key.identity !== undefined || this.key.passphrase !== undefined;
  }

  private heading(): string {
    const { opened } = this;
    if (!opened) return t.foreign.missing;
    if (!opened.encrypted || this.hasKey()) return opened.name;
    return opened.folder ? t.foreign.encryptedFolder : t.foreign.encryptedFile;
  }

  /** What opens it. */
  private keys() {
    if (this.hasKey())
      return html`<p class="note">${this.key.passphrase === undefined ? t.foreign.openedKey : t.foreign.openedPassphrase}</p>`;
    return html`
      <form class="key-box" @submit=${this.open}>
        <p>${t.foreign.opensWith}</p>
        <label class="field">${t.foreign.key}
          <input name="identity" type="password" autocomplete="off" spellcheck="false" maxlength="4096" data-testid="foreign-identity" />
        </label>
        <label class="field">${t.foreign.keyFile}
          <input name="file" type="file" accept=".txt,text/plain" />
        </label>
        <label class="field">${t.foreign.passphrase}
          <input name="passphrase" type="password" autocomplete="off" maxlength="256" data-testid="foreign-passphrase" />
        </label>
        <button type="submit" class="button" data-testid="foreign-open" ?disabled=${this.busy}>${this.busy ? t.foreign.opening : t.foreign.open}</button>
      </form>
    `;
  }

  private list(opened: OpenedFile) {
    const { running } = this;
    const closed = opened.encrypted && !this.hasKey();
    return html`
      <ol class="file-list">
        ${opened.files.slice(0, LINES).map(
          (file) => html`<li data-testid="foreign-row" data-path=${file.path}>
            <span class="file-path">${file.path}</span>
            <span class="note num">${bytes(file.size)}</span>
            <span class="file-state">${running?.path === file.path ? bytes(running.done) : ''}</span>
            <button type="button" class="copy" data-testid="foreign-download" ?disabled=${running !== undefined} @click=${() => this.download(file.path, file.size)}>${closed ? t.foreign.downloadEncrypted : t.common.download}</button>
          </li>`,
        )}
      </ol>
      ${opened.files.length > LINES ? html`<p class="note">${t.foreign.more(opened.files.length - LINES)}</p>` : nothing}
      <p class="saved" role="status">${this.saved ? t.foreign.verified(this.saved) : ''}</p>
    `;
  }

  private async look(): Promise<void> {
    const { fileId, key } = this;
    const asked = {};
    this.asked = asked;
    this.busy = true;
    this.problem = undefined;
    this.requestUpdate();
    try {
      const client = await session.connected();
      const opened = await client.open(fileId, key);
      if (this.asked !== asked) return;
      this.opened = opened;
    } catch (error) {
      if (this.asked !== asked) return;
      this.key = {};
      this.problem = problemOf(() => t.foreign.notOpened, error);
    }
    this.busy = false;
    this.requestUpdate();
  }

  private readonly open = async (event: Event) => {
    event.preventDefault();
    const { fileId } = this;
    const fields = new FormData(event.target as HTMLFormElement);
    const text = (name: string) => String(fields.get(name) ?? '').trim();
    const file = fields.get('file');
    const chosen = file instanceof File && file.size > 0 && file.size <= KEY_FILE_BYTES ? await file.text() : undefined;
    const identity = chosen ?? (text('identity') || undefined);
    const passphrase = String(fields.get('passphrase') ?? '') || undefined;
    if ((identity === undefined && passphrase === undefined) || this.fileId !== fileId) return;
    this.key = identity === undefined ? { passphrase } : { identity };
    await this.look();
  };

  private async download(path: string, size: number): Promise<void> {
    const running = { path, done: 0, stop: new AbortController() };
    this.running = running;
    this.problem = this.saved = undefined;
    this.requestUpdate();
    const onBytes = (done: number) => {
      running.done = done;
      this.requestUpdate();
    };
    try {
      const single = this.opened?.folder ? path : undefined;
      await saveFile(this.fileId, path, size, {
        signal: running.stop.signal,
        onBytes,
        key: this.key,
        from: { path: single },
      });
      if (this.running === running) this.saved = path;
    } catch (error) {
      if (this.running === running && !isAborted(error)) this.problem = problemOf(() => t.foreign.notFetched, error);
    }
    if (this.running === running) this.running = undefined;
    this.requestUpdate();
  }
}
customElements.define('sd-foreign', ForeignFile);
