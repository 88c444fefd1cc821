// A receipt from anybody, checked in this tab with nothing but the file: no chain is asked, and no miner.

import { html, nothing } from 'lit';
import { type Passport, verifyReceipt } from 'sealdrop-client';
import './copyable';
import { passportRows } from './passport-rows';
import { type Problem, problemOf } from './problem';
import { View } from './view';

/** What the link to this page says. */
export const RECEIPT_LINK = 'Check a receipt';

const WORDS = {
  title: 'Check a receipt',
  lead: 'A receipt shows a deal to anybody. It is checked here, in this tab, and never sent anywhere: this page asks neither chain nor miner for it.',
  choose: 'Choose a receipt, or drop it here',
  busy: 'Checking…',
  wrong: 'Something in this receipt does not hold. Do not rely on it.',
  right: 'Nothing in this receipt is wrong.',
  deal: 'Deal',
  network: 'Network',
  notChecked: 'This file cannot be checked',
};

export class ReceiptPage extends View {
  private passport: Passport | undefined;
  private name = '';
  private problem: Problem | undefined;
  private busy = false;

  override render() {
    const { passport } = this;
    return html`
      <section class="sheet" aria-labelledby="receipt-title" data-testid="receipt-page" @dragover=${this.hover} @drop=${this.drop}>
        <h1 id="receipt-title">${WORDS.title}</h1>
        <p class="note">${WORDS.lead}</p>
        <label class="receipt-drop">
          <span>${this.busy ? WORDS.busy : this.name || WORDS.choose}</span>
          <input type="file" accept=".receipt" class="unseen" data-testid="receipt-input" @change=${this.chosen} />
        </label>
        <sd-problem .problem=${this.problem}></sd-problem>
        <div aria-live="polite">${passport ? this.result(passport) : nothing}</div>
      </section>
    `;
  }

  private result(passport: Passport) {
    const wrong = passport.steps.some(({ standing }) => standing === 'wrong');
    return html`
      <p class="verdict verdict-${wrong ? 'fails' : 'holds'}" role="status" data-testid="receipt-verdict" data-wrong=${String(wrong)}>
        ${wrong ? `✕ ${WORDS.wrong}` : `✓ ${WORDS.right}`}
      </p>
      <dl class="facts stacked">
        ${passport.deal ? html`<div><dt>${WORDS.deal}</dt><dd><sd-copyable .value=${passport.deal} label=${WORDS.deal} short></sd-copyable></dd></div>` : nothing}
        <div>
          <dt>${WORDS.network}</dt>
          <dd>${passport.network ?? ''} <sd-copyable .value=${passport.genesis} label=${WORDS.network} short></sd-copyable></dd>
        </div>
      </dl>
      ${passportRows(passport)}
    `;
  }

  private readonly hover = (event: DragEvent) => event.preventDefault();

  private readonly drop = (event: DragEvent) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) void this.check(file);
  };

  private readonly chosen = (event: Event) => {
    const file = (event.target as HTMLInputElement).files?.[0];
    if (file) void this.check(file);
  };

  private async check(file: File): Promise<void> {
    this.busy = true;
    this.name = file.name;
    this.passport = this.problem = undefined;
    this.requestUpdate();
    try {
      this.passport = await verifyReceipt(file);
    } catch (error) {
      this.problem = problemOf(WORDS.notChecked, error);
    }
    this.busy = false;
    this.requestUpdate();
  }
}
customElements.define('sd-receipt', ReceiptPage);
