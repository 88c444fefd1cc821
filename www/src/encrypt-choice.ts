// Whether files are encrypted before they leave this browser, and with what: a key that is made here and has to be kept safe, or a passphrase.
// Nothing is stored before the person has the key.

import { html, nothing } from 'lit';
import type { EncryptTo, NewKey } from 'sealdrop-client';
import { KEY_FILE, keyFile, saveText } from './key-file';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { View } from './view';
import { t } from './words';

/** Letters of a passphrase, at least: four words or so. */
const LEAST_LETTERS = 12;

/** What was chosen. */
export interface Encrypting {
  encrypt: EncryptTo | undefined;
  /** Why nothing may be stored yet. */
  held: (() => string) | undefined;
}

export class EncryptChoice extends View {
  static override properties = { locked: { attribute: false } };
  declare locked: boolean;
  private on = false;
  private way: 'key' | 'passphrase' = 'key';
  private key: NewKey | undefined;
  /** Whether the person has the key. */
  private safe = false;
  private said: (() => string) | undefined;
  private passphrase: string | undefined;
  private problem: Problem | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    // One that is made anew is off, whatever the one before it said.
    this.tell();
  }

  override render() {
    return html`
      <section class="sheet encrypt" aria-labelledby="encrypt-title">
        <label class="switch">
          <input type="checkbox" role="switch" data-testid="encrypt-switch" .checked=${this.on} ?disabled=${this.locked} @change=${this.turn} />
          <span>
            <strong id="encrypt-title">${t.encrypt.title}</strong>
            <span class="note">${t.encrypt.meaning}</span>
          </span>
        </label>
        ${this.on ? this.ways() : nothing}
      </section>
    `;
  }

  private ways() {
    const choice = (way: 'key' | 'passphrase', name: string) => html`<label class="choice">
      <input type="radio" name="encrypt-way" value=${way} data-testid="encrypt-way" .checked=${this.way === way} ?disabled=${this.locked} @change=${() => this.take(way)} />
      <span>${name}</span>
    </label>`;
    return html`
      <div class="choices" role="radiogroup" aria-label=${t.encrypt.withWhat}>
        ${choice('key', t.encrypt.newKey)}${choice('passphrase', t.encrypt.passphrase)}
      </div>
      ${this.way === 'key' ? this.safekeeping() : this.typing()}
      <sd-problem .problem=${this.problem}></sd-problem>
    `;
  }

  /** The key, to be kept before anything is stored. */
  private safekeeping() {
    const { key } = this;
    if (!key) return this.problem ? nothing : html`<p class="wait">${t.encrypt.making}</p>`;
    return html`
      <div class="key-box" data-testid="key-box">
        <p class="key-warning">${t.encrypt.nobody(html`<strong>${t.encrypt.lostKey}</strong>`)}</p>
        <p class="note key-line">${t.encrypt.yourKey(html`<code>${`${key.identity.slice(0, 20)}…`}</code>`)}</p>
        <div class="row">
          <button type="button" class="button" data-testid="key-download" @click=${this.download}>${t.encrypt.save(KEY_FILE)}</button>
          <button type="button" class="quiet" data-testid="key-copy" @click=${this.copy}>${t.encrypt.copyKey}</button>
          <span class="note" role="status">${this.said?.()}</span>
        </div>
        <label class="key-have">
          <input type="checkbox" data-testid="key-safe" .checked=${this.safe} @change=${(event: Event) => this.have((event.target as HTMLInputElement).checked)} />
          ${t.encrypt.have}
        </label>
        <p class="note">${t.encrypt.works(html`<code>age -d -i ${KEY_FILE}</code>`)}</p>
      </div>
    `;
  }

  private typing() {
    if (this.passphrase !== undefined) {
      return html`<div class="key-box">
        <p>${t.encrypt.forgotten(html`<strong>${t.encrypt.set}</strong>`)}</p>
        <button type="button" class="plain" ?disabled=${this.locked} @click=${() => this.take('passphrase')}>${t.encrypt.chooseOther}</button>
      </div>`;
    }
    const field = (name: string, label: string) => html`<label class="field">${label}
      <input type="password" name=${name} required minlength=${LEAST_LETTERS} maxlength="256" autocomplete="new-password" data-testid="encrypt-${name}" />
    </label>`;
    return html`
      <form class="key-box passphrases" @submit=${this.agree}>
        <p class="key-warning">${t.encrypt.goodPassphrase(html`<strong>${t.encrypt.lostPassphrase}</strong>`)}</p>
        ${field('passphrase', t.encrypt.passphraseField)}${field('again', t.encrypt.again)}
        <button type="submit" class="button" data-testid="encrypt-agree">${t.encrypt.use}</button>
      </form>
    `;
  }

  private readonly turn = (event: Event) => {
    this.on = (event.target as HTMLInputElement).checked;
    this.take('key');
  };

  private take(way: 'key' | 'passphrase'): void {
    this.way = way;
    this.problem = this.passphrase = undefined;
    if (this.on && way === 'key' && !this.key) void this.make();
    this.tell();
  }

  private async make(): Promise<void> {
    try {
      const client = await session.connected();
      this.key = await client.newKey();
    } catch (error) {
      this.problem = problemOf(() => t.encrypt.noKey, error);
    }
    this.tell();
  }

  private have(safe: boolean): void {
    this.safe = safe;
    this.tell();
  }

  private readonly download = () => {
    if (!this.key) return;
    saveText(KEY_FILE, keyFile(this.key));
    this.said = () => t.encrypt.saved(KEY_FILE);
    this.have(true);
  };

  private readonly copy = async () => {
    if (!this.key) return;
    try {
      await navigator.clipboard.writeText(this.key.identity);
      this.said = () => t.encrypt.copied;
    } catch {
      this.said = () => t.encrypt.cannotCopy;
    }
    this.requestUpdate();
  };

  private readonly agree = (event: Event) => {
    event.preventDefault();
    const fields = new FormData(event.target as HTMLFormElement);
    const [passphrase, again] = [String(fields.get('passphrase') ?? ''), String(fields.get('again') ?? '')];
    if (passphrase !== again) {
      this.problem = {
        code: 'bad-argument',
        what: () => t.encrypt.two,
        why: () => t.encrypt.differ,
        next: () => t.encrypt.typeTwice,
      };
      return this.requestUpdate();
    }
    this.problem = undefined;
    this.passphrase = passphrase;
    this.tell();
  };

  private tell(): void {
    this.requestUpdate();
    this.dispatchEvent(new CustomEvent<Encrypting>('encrypting', { detail: this.chosen() }));
  }

  private chosen(): Encrypting {
    if (!this.on) return { encrypt: undefined, held: undefined };
    if (this.way === 'passphrase') {
      return this.passphrase === undefined
        ? { encrypt: undefined, held: () => t.encrypt.setFirst }
        : { encrypt: { passphrase: this.passphrase }, held: undefined };
    }
    if (!this.key) return { encrypt: undefined, held: () => t.encrypt.keyBeingMade };
    const held = this.safe ? undefined : () => t.encrypt.saveFirst;
    return { encrypt: { recipients: [this.key.recipient] }, held };
  }
}
customElements.define('sd-encrypt', EncryptChoice);
