// "Check it yourself": what the browser verifies against the chain, without trusting the miner, and the commitments.

import { html, nothing } from 'lit';
import type { Check, Deal, Verdict, Verification } from 'sealdrop-client';
import { shortened } from './copyable';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { View } from './view';

type Part = Exclude<keyof Verification, 'state'>;

const CHECKS: [Part, string, string][] = [
  [
    'inclusion',
    'Your file is inside',
    'A chain of hashes leads from your file’s commitment to that of the whole sector.',
  ],
  [
    'commitMessage',
    'The seal is on the chain',
    'The miner’s commit message was applied, its proof verified by the chain itself.',
  ],
  [
    'commitments',
    'The records agree',
    'What the miner told you and what the chain has on record are the same commitments.',
  ],
  ['proven', 'It is being proven', 'A proof of spacetime that covers the sector was accepted, and none is overdue.'],
];

/** How each verdict looks, and how it is read out. */
const VERDICTS: Record<Verdict, { mark: string; words: string }> = {
  holds: { mark: '✓', words: 'holds' },
  pending: { mark: '…', words: 'cannot be shown yet' },
  over: { mark: '–', words: 'no longer owed' },
  fails: { mark: '✕', words: 'does not hold' },
};

/** The whole in one sentence. */
const SUMMARY: Record<Verdict, string> = {
  holds: 'Everything holds.',
  pending: 'Nothing is wrong; something is still to come.',
  over: 'The deal has run its time.',
  fails: 'Something does not hold. Do not rely on this copy: take the file back, and store it with another miner.',
};

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
        <h2 id="checks-title">Check it yourself</h2>
        <p class="note">Your browser compares what the miner said with what the chain has on record, without trusting the miner.</p>
        <ul class="checks" aria-live="polite">
          ${CHECKS.map(([key, title, meaning]) => this.check(key, title, meaning, this.found?.[key]))}
        </ul>
        ${
          this.found
            ? html`<p class="verdict verdict-${this.found.state}" role="status" data-testid="verdict" data-state=${this.found.state}>${SUMMARY[this.found.state]}</p>`
            : nothing
        }
        <button type="button" class="quiet" data-testid="verify-button" ?disabled=${this.busy} @click=${this.verify}>
          ${this.busy ? 'Checking…' : this.found ? 'Check again' : 'Check now'}
        </button>
        <sd-problem .problem=${this.problem}></sd-problem>
        ${
          proof
            ? html`<details>
              <summary>The commitments</summary>
              <dl class="facts stacked">
                ${commitment('CommP, your file', 'The fingerprint of your file, computed in this browser.', this.deal.commP)}
                ${commitment('CommD, the sector’s data', 'The fingerprint of all data in the sector, before sealing.', proof.commD)}
                ${commitment('CommR, the sealed replica', 'The fingerprint of the sealed copy, which is what the miner must keep.', proof.commR)}
                ${commitment('CommC, the layers', 'The fingerprint of all layers of the sealing (the field commRStar).', proof.commRStar)}
                ${commitment('Commit message', 'The message on the chain that carried the proof.', proof.commitmentMessage)}
                <div><dt>Sector</dt><dd class="num">${proof.sectorId}</dd></div>
              </dl>
            </details>`
            : nothing
        }
      </section>
    `;
  }

  private check(key: Part, title: string, meaning: string, check: Check | undefined) {
    const verdict = check && VERDICTS[check.state];
    return html`
      <li class="check check-${check?.state ?? 'unknown'}" data-testid="check" data-check=${key}
        data-ok=${check === undefined ? nothing : String(check.ok)} data-state=${check?.state ?? nothing}>
        <span class="check-mark" aria-hidden="true">${verdict?.mark ?? ''}</span>
        <div>
          <strong>${title}</strong><span class="unseen">, ${verdict?.words ?? 'not checked yet'}</span>
          <p class="note">${meaning}</p>
          ${check ? html`<p class="note check-detail">${brief(check.detail)}</p>` : nothing}
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
      this.problem = problemOf('The checks could not be made', error);
    }
    this.busy = false;
    this.requestUpdate();
  };
}
customElements.define('sd-checks', Checks);

/** A check's finding with its long identifiers shortened; they stand in full below. */
function brief(detail: string) {
  return detail
    .split(/\b([0-9a-z]{40,})\b/)
    .map((part, index) => (index % 2 === 1 ? html`<code title=${part}>${shortened(part)}</code>` : part));
}

function commitment(name: string, meaning: string, value: string) {
  return html`<div>
    <dt>${name}</dt>
    <dd><span class="note">${meaning}</span><sd-copyable .value=${value} label=${name}></sd-copyable></dd>
  </div>`;
}
