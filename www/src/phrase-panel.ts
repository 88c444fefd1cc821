// The recovery phrase: shown when asked for, and confirmed by two of its words.

import { html, nothing } from 'lit';
import * as keys from 'sealdrop-client/account';
import { fieldsOf, passwordField } from './account-forms';
import { ActingView } from './acting';
import { session } from './session';
import { type Text, t, textOf } from './words';

/** Words that are asked for. */
const ASKED = 2;

export class PhrasePanel extends ActingView {
  private words: readonly string[] | undefined;
  private asked: readonly number[] = [];
  private said: Text = '';

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.words = undefined;
  }

  override render() {
    const { phrase } = t.wallet;
    return html`
      <section class="sheet account-part" aria-labelledby="phrase-title">
        <h2 id="phrase-title">${phrase.title}</h2>
        <p>${phrase.what}</p>
        ${this.words ? this.shown(this.words) : this.covered()}
        <p class="note" role="status" data-testid="phrase-said">${textOf(this.said)}</p>
        <sd-problem .problem=${this.problem}></sd-problem>
      </section>
    `;
  }

  private covered() {
    const { phrase, lock } = t.wallet;
    return html`
      <form @submit=${this.show}>
        <p class="key-warning"><strong>${phrase.warning}</strong> ${phrase.alone}</p>
        ${session.key?.locked ? passwordField('passphrase', lock.current, 'current-password') : nothing}
        <div class="row"><button type="submit" class="button" data-testid="phrase-show" ?disabled=${this.busy}>${phrase.show}</button></div>
      </form>
    `;
  }

  private shown(words: readonly string[]) {
    const { phrase } = t.wallet;
    return html`
      <ol class="phrase" aria-label=${phrase.list} data-testid="phrase">${words.map((word) => html`<li translate="no">${word}</li>`)}</ol>
      <form @submit=${this.confirm} autocomplete="off">
        <p>${phrase.check}</p>
        <div class="row">
          ${this.asked.map(
            (at) => html`<label class="field phrase-word">${phrase.word(at + 1)}
              <input name="word-${at}" required autocapitalize="none" autocomplete="off" spellcheck="false" data-testid="phrase-word" data-at=${at} />
            </label>`,
          )}
        </div>
        <div class="row">
          <button type="submit" class="button" data-testid="phrase-confirm">${phrase.confirm}</button>
          <button type="button" class="quiet" data-testid="phrase-hide" @click=${this.hide}>${phrase.hide}</button>
        </div>
      </form>
    `;
  }

  private readonly show = (event: Event) => {
    event.preventDefault();
    const typed = fieldsOf(event);
    this.said = '';
    void this.act(
      () => t.wallet.failed.show,
      async () => {
        const words = (await keys.phrase({ passphrase: typed('passphrase') })).split(' ');
        const places = words.map((_, at) => ({ at, by: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 }));
        const drawn = places.sort((a, b) => a.by - b.by).slice(0, ASKED);
        this.asked = drawn.map(({ at }) => at).sort((a, b) => a - b);
        this.words = words;
      },
    );
  };

  private readonly hide = () => {
    this.words = undefined;
    this.requestUpdate();
  };

  private readonly confirm = (event: Event) => {
    event.preventDefault();
    const typed = fieldsOf(event);
    const right = this.asked.every((at) => typed(`word-${at}`)?.trim().toLowerCase() === this.words?.[at]);
    if (!right) {
      this.said = () => t.wallet.phrase.wrong;
      return this.requestUpdate();
    }
    void this.act(
      () => t.wallet.failed.show,
      async () => {
        await keys.phraseIsSafe();
        this.words = undefined;
        this.said = () => t.wallet.phrase.done;
        await session.lookAtKeys();
      },
    );
  };
}
customElements.define('sd-phrase', PhrasePanel);
