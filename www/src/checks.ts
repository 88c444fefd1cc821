// "Check it yourself": what the browser verifies against the chain, without trusting the miner, and the commitments.

import { html, nothing } from 'lit';
import type { Check, Deal, Verdict, Verification } from 'sealdrop-client';
import './copyable';
import { type Problem, problemOf } from './problem';
import { finding } from './problem-box';
import { session } from './session';
import { View } from './view';
import { t } from './words';

const CHECKS = ['inclusion', 'commitMessage', 'commitments', 'proven'] as const satisfies (keyof Verification)[];
type Part = (typeof CHECKS)[number];

/** How each verdict looks. */
const MARKS: Record<Verdict, string> = { holds: '✓', pending: '…', over: '–', fails: '✕' };

export class Checks extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  private found: Verification | undefined;
  private of = '';
  private problem: Problem | undefined;
  private busy = false;

  override render() {
    const { proof } = this.deal;
    if (this.of !== this.deal.id) this.found = this.problem = undefined;
    return html`
      <section class="panel" aria-labelledby="checks-title">
        <h2 id="checks-title">${t.checks.title}</h2>
        <p class="note">${t.checks.lead}</p>
        <ul class="checks" aria-live="polite">
          ${CHECKS.map((key) => this.check(key, this.found?.[key]))}
        </ul>
        ${
          this.found
            ? html`<p class="verdict verdict-${this.found.state}" role="status" data-testid="verdict" data-state=${this.found.state}>${t.checks.summary[this.found.state]}</p>`
            : nothing
        }
        <button type="button" class="quiet" data-testid="verify-button" ?disabled=${this.busy} @click=${this.verify}>
          ${this.busy ? t.checks.checking : this.found ? t.checks.again : t.checks.now}
        </button>
        <sd-problem .problem=${this.problem}></sd-problem>
        ${
          proof
            ? html`<details>
              <summary>${t.checks.commitmentsTitle}</summary>
              <dl class="facts stacked">
                ${commitment(t.checks.commP, this.deal.commP)}
                ${commitment(t.checks.commD, proof.commD)}
                ${commitment(t.checks.commR, proof.commR)}
                ${commitment(t.checks.commC, proof.commRStar)}
                ${commitment(t.checks.message, proof.commitmentMessage)}
                <div><dt>${t.checks.sector}</dt><dd class="num">${proof.sectorId}</dd></div>
              </dl>
            </details>`
            : nothing
        }
      </section>
    `;
  }

  private check(key: Part, check: Check | undefined) {
    const { title, meaning } = t.checks[key];
    const verdict = check && t.checks.verdicts[check.state];
    return html`
      <li class="check check-${check?.state ?? 'unknown'}" data-testid="check" data-check=${key}
        data-ok=${check === undefined ? nothing : String(check.ok)} data-state=${check?.state ?? nothing}>
        <span class="check-mark" aria-hidden="true">${check ? MARKS[check.state] : ''}</span>
        <div>
          <strong>${title}</strong><span class="unseen">, ${verdict ?? t.checks.notChecked}</span>
          <p class="note">${meaning}</p>
          ${check ? html`<p class="note check-detail">${finding(check.detail)}</p>` : nothing}
          ${check?.basis ? html`<p class="note check-basis" data-testid="check-basis" data-trust=${check.basis.trust}>${t.checks.trust[check.basis.trust](finding(check.basis.detail))}</p>` : nothing}
        </div>
      </li>
    `;
  }

  private readonly verify = async () => {
    const { id } = this.deal;
    this.busy = true;
    this.problem = undefined;
    this.of = id;
    this.requestUpdate();
    try {
      this.found = await session.client?.verify(id);
    } catch (error) {
      this.found = undefined;
      this.problem = problemOf(() => t.checks.failed, error);
    }
    this.busy = false;
    this.requestUpdate();
  };
}
customElements.define('sd-checks', Checks);

function commitment({ name, meaning }: { name: string; meaning: string }, value: string) {
  return html`<div>
    <dt>${name}</dt>
    <dd><span class="note">${meaning}</span><sd-copyable .value=${value} .label=${name}></sd-copyable></dd>
  </div>`;
}
