// Where a visitor says which chain to use: when none is known, when a link names another one, or by choice.

import { html, nothing } from 'lit';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { View } from './view';

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
        <h1 id="chain-title">This link leads to another network</h1>
        <p>The link names a chain that this page has not used before. Go on only if you trust whoever gave you the link.</p>
        <dl class="facts">
          <div><dt>The link’s chain</dt><dd><code>${asked}</code></dd></div>
          ${chain ? html`<div><dt>In use so far</dt><dd><code>${chain}</code></dd></div>` : nothing}
        </dl>
        <p class="note">Account, money and deals are separate on every network. Nothing is lost by looking.</p>
        <div class="row">
          <button type="button" class="button" data-testid="chain-agree" @click=${() => session.use(asked)}>Use the link’s chain</button>
          <button type="button" class="quiet" data-testid="chain-stay" @click=${session.stay}>
            ${chain ? 'Stay' : 'Name another one'}
          </button>
        </div>
      </section>
    `;
  }

  private form(chain: string | undefined) {
    return html`
      <form class="sheet chain-form" aria-labelledby="chain-title" data-testid="chain-form" @submit=${this.submit}>
        <h1 id="chain-title">Which network?</h1>
        <p>
          This page asks a chain about miners, money and proofs. Whoever runs one names its address: it ends with
          <code>/rpc</code>, and <code>sealdrop daemon</code> prints it.
        </p>
        <label class="field">
          Address of the chain
          <input name="chain" type="url" required maxlength="512" placeholder="https://chain.example/rpc"
            autocomplete="url" spellcheck="false" data-testid="chain-input" .value=${chain ?? ''} />
        </label>
        <div class="row">
          <button type="submit" class="button" data-testid="chain-connect">Connect</button>
          ${chain ? html`<button type="button" class="quiet" @click=${session.stay}>Cancel</button>` : nothing}
          ${
            session.choice.own && chain !== session.choice.own
              ? html`<button type="button" class="quiet" @click=${() => session.use(session.choice.own ?? '')}>
                  Use this page’s own
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
      this.problem = problemOf('This is no address of a chain', error);
      this.requestUpdate();
    }
  };
}
customElements.define('sd-chain', ChainForm);
