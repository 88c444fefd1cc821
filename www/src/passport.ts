// The deal's passport on its page, and its receipt as a file.

import { html, nothing } from 'lit';
import { guard } from 'lit/directives/guard.js';
import type { Deal, Passport } from 'sealdrop-client';
import { saveBlob } from './key-file';
import { passportRows } from './passport-rows';
import { type Problem, problemOf } from './problem';
import { RECEIPT } from './route';
import { session } from './session';
import { View } from './view';
import { language, type Text, t } from './words';

export class PassportPanel extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  /** Of which deal everything else here is. */
  private of = '';
  private passport: Passport | undefined;
  private saved: string | undefined;
  private problem: Problem | undefined;
  private busy: 'check' | 'save' | undefined;

  override willUpdate(): void {
    if (this.of === this.deal.id) return;
    this.of = this.deal.id;
    this.passport = this.saved = this.problem = this.busy = undefined;
  }

  override render() {
    const { passport, busy, saved } = this;
    return html`
      <section class="panel" aria-labelledby="passport-title" aria-busy=${busy === 'check'} data-testid="passport">
        <h2 id="passport-title">${t.passport.title}</h2>
        <p class="note">${t.passport.lead}</p>
        ${passport ? guard([passport, language()], () => passportRows(passport)) : nothing}
        <p class="passport-actions">
          <button type="button" class="quiet" data-testid="passport-button" ?disabled=${busy} @click=${this.check}>
            ${busy === 'check' ? t.passport.checking : passport ? t.passport.again : t.passport.check}
          </button>
          <button type="button" class="quiet" data-testid="receipt-button" ?disabled=${busy} @click=${this.save}>${t.passport.save}</button>
        </p>
        <p class="saved" role="status" data-testid="receipt-saved">${saved === undefined ? nothing : t.passport.saved(saved)}</p>
        <p class="note">
          ${t.passport.receipt(html`<a href=${RECEIPT}>${t.passport.receiptPage}</a>`, html`<code>sealdrop client verify-receipt</code>`)}
        </p>
        <sd-problem .problem=${this.problem}></sd-problem>
      </section>
    `;
  }

  private readonly check = () =>
    void this.act(
      'check',
      () => t.passport.notMade,
      async (id) => {
        const passport = await (await session.connected()).passport(id);
        if (id === this.of) this.passport = passport;
      },
    );

  private readonly save = () =>
    void this.act(
      'save',
      () => t.passport.notSaved,
      async (id) => {
        const name = `${this.deal.dealCid ?? id}.receipt`;
        saveBlob(name, await (await session.connected()).receipt(id));
        if (id === this.of) this.saved = name;
      },
    );

  private async act(busy: 'check' | 'save', what: Text, work: (id: string) => Promise<void>): Promise<void> {
    const { id } = this.deal;
    this.busy = busy;
    this.problem = this.saved = undefined;
    this.requestUpdate();
    let problem: Problem | undefined;
    try {
      await work(id);
    } catch (error) {
      problem = problemOf(what, error);
    }
    // Another deal may be shown by now.
    if (id !== this.of) return;
    this.busy = undefined;
    this.problem = problem;
    this.requestUpdate();
  }
}
customElements.define('sd-passport', PassportPanel);
