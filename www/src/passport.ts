// The deal's passport on its page, and its receipt as a file.

import { html, nothing } from 'lit';
import type { Deal, Passport } from 'sealdrop-client';
import { passportRows } from './passport-rows';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { View } from './view';

const WORDS = {
  title: 'The deal’s passport',
  lead: 'Fifteen steps, and for each whose word it stands on. What this tab can check, it checks: signatures, hashes, block headers and the proofs themselves.',
  show: 'Check all fifteen steps',
  again: 'Check again',
  busy: 'Checking…',
  save: 'Save the receipt',
  saved:
    'The receipt is one small file. Anybody can check it, on any copy of this page or with `sealdrop client verify-receipt`, without a network.',
  notMade: 'The passport could not be made',
  notSaved: 'The receipt could not be saved',
};

/** How long a saved file's address is kept for the browser to read it. */
const KEEP_MS = 60_000;

export class PassportPanel extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  private passport: Passport | undefined;
  private of = '';
  private problem: Problem | undefined;
  private busy = false;

  override render() {
    if (this.of !== this.deal.id) this.passport = this.problem = undefined;
    return html`
      <section class="panel" aria-labelledby="passport-title" data-testid="passport">
        <h2 id="passport-title">${WORDS.title}</h2>
        <p class="note">${WORDS.lead}</p>
        <div aria-live="polite">${this.passport ? passportRows(this.passport) : nothing}</div>
        <p class="passport-actions">
          <button type="button" class="quiet" data-testid="passport-button" ?disabled=${this.busy} @click=${this.check}>
            ${this.busy ? WORDS.busy : this.passport ? WORDS.again : WORDS.show}
          </button>
          <button type="button" class="quiet" data-testid="receipt-button" ?disabled=${this.busy} @click=${this.save}>${WORDS.save}</button>
        </p>
        <p class="note">${WORDS.saved}</p>
        <sd-problem .problem=${this.problem}></sd-problem>
      </section>
    `;
  }

  private readonly check = () =>
    this.act(WORDS.notMade, async (id) => {
      this.passport = await session.client?.passport(id);
    });

  private readonly save = () =>
    this.act(WORDS.notSaved, async (id) => {
      const receipt = await session.client?.receipt(id);
      if (receipt) download(receipt, `${this.deal.dealCid ?? id}.receipt`);
    });

  private async act(what: string, work: (id: string) => Promise<void>): Promise<void> {
    const { id } = this.deal;
    this.busy = true;
    this.problem = undefined;
    this.of = id;
    this.requestUpdate();
    try {
      await work(id);
    } catch (error) {
      this.problem = problemOf(what, error);
    }
    this.busy = false;
    this.requestUpdate();
  }
}
customElements.define('sd-passport', PassportPanel);

function download(file: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_MS);
}
