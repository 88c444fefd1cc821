// Where a visitor says which chain to use: when none is known, when a link names another one, or by choice.

import { html, nothing } from 'lit';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { View } from './view';
import { t } from './words';

export class ChainForm extends View {
  private problem: Problem | undefined;

  override render() {
    const { chain, asked } = session.choice;
    return asked ? this.question(asked, chain) : this.form(chain);
  }

  /** A link is a stranger's word, and whoever answers for a chain can say what they like about money and proofs. */
  private question(asked: string, chain: string | undefined) {
    return html`
      <section class="sheet chain-form" aria-labelledby="chain-title" data-testid="chain-question">
        <h1 id="chain-title">${t.chain.otherTitle}</h1>
        <p>${t.chain.otherWarning}</p>
        <dl class="facts">
          <div><dt>${t.chain.linkChain}</dt><dd><code>${asked}</code></dd></div>
          ${chain ? html`<div><dt>${t.chain.usedChain}</dt><dd><code>${chain}</code></dd></div>` : nothing}
        </dl>
        <p class="note">${t.chain.separate}</p>
        <div class="row">
          <button type="button" class="button" data-testid="chain-agree" @click=${() => session.use(asked)}>${t.chain.useLink}</button>
          <button type="button" class="quiet" data-testid="chain-stay" @click=${session.stay}>
            ${chain ? t.chain.stay : t.chain.nameOther}
          </button>
        </div>
      </section>
    `;
  }

  private form(chain: string | undefined) {
    return html`
      <form class="sheet chain-form" aria-labelledby="chain-title" data-testid="chain-form" @submit=${this.submit}>
        <h1 id="chain-title">${t.chain.title}</h1>
        <p>
          ${t.chain.explained(html`<code>/rpc</code>`, html`<code>sealdrop daemon</code>`)}
        </p>
        <label class="field">
          ${t.chain.address}
          <input name="chain" type="url" required maxlength="512" placeholder="https://chain.example/rpc"
            autocomplete="url" spellcheck="false" data-testid="chain-input" .value=${chain ?? ''} />
        </label>
        <div class="row">
          <button type="submit" class="button" data-testid="chain-connect">${t.chain.connect}</button>
          ${chain ? html`<button type="button" class="quiet" @click=${session.stay}>${t.common.cancel}</button>` : nothing}
          ${
            session.choice.own && chain !== session.choice.own
              ? html`<button type="button" class="quiet" @click=${() => session.use(session.choice.own ?? '')}>
                  ${t.chain.useOwn}
                </button>`
              : nothing
          }
        </div>
        <sd-problem .problem=${this.problem}></sd-problem>
      </form>
    `;
  }

  private readonly submit = async (event: Event) => {
    event.preventDefault();
    const text = String(new FormData(event.target as HTMLFormElement).get('chain') ?? '');
    try {
      await session.use(text);
    } catch (error) {
      this.problem = problemOf(() => t.chain.noAddress, error);
      this.requestUpdate();
    }
  };
}
customElements.define('sd-chain', ChainForm);
