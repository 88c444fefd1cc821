// The rows of a deal's passport: each of the fifteen steps with whose word it stands on; what shows it is one click away. Shown of a deal on its
// page, and of a receipt.

import { html, nothing } from 'lit';
import type { Conclusion, Passport, PassportStep, StepStanding } from 'sealdrop-client';
import { count } from './amounts';
import './copyable';
import { legible } from './legible';
import { evidence } from './passport-evidence';
import { finding } from './problem-box';
import { t } from './words';
import { list } from './words/numbers';

/** In the order in which they are counted. */
const STANDINGS: readonly StepStanding[] = [
  'wrong',
  'checked',
  'claimedByClient',
  'claimedByMiner',
  'claimedByChain',
  'notYet',
  'unchecked',
];

/** Characters of a network's name; a record may have any. */
const LONGEST_NAME = 64;

/** A mark for each: what is checked has a tick, what is somebody's word a quotation mark. */
const MARKS: Readonly<Record<StepStanding, string>> = {
  checked: '✓',
  claimedByClient: '”',
  claimedByMiner: '”',
  claimedByChain: '”',
  notYet: '…',
  unchecked: '?',
  wrong: '✕',
};

/** The step's mark that what all steps come to has. */
const CONCLUSIONS: Readonly<Record<Conclusion, StepStanding>> = {
  holds: 'checked',
  undecided: 'notYet',
  wrong: 'wrong',
};

const CLASSES: Readonly<Record<Conclusion, string>> = { holds: 'holds', undecided: 'pending', wrong: 'fails' };

/** A passport: the sentence over all, whose it is, the rows, and what it cannot say. */
export function passportRows(passport: Passport, facts?: unknown) {
  const commit = passport.steps.find(({ step }) => step === 'commit');
  const height = commit?.artefacts.find(({ kind }) => kind === 'commit')?.height;
  return html`
    ${verdict(passport)}
    <dl class="facts evidence-facts">${facts}${networkFacts(passport)}</dl>
    <ol class="passport" aria-label=${t.passport.list}>${passport.steps.map((step) => row(step, passport, height))}</ol>
    <section class="limits" aria-labelledby="limits-title">
      <h3 id="limits-title">${t.passport.limits}</h3>
      <ul>${passport.limits.map((limit) => html`<li>${finding(limit)}</li>`)}</ul>
    </section>
  `;
}

/** What all steps come to, and how many stand on whose word. */
function verdict({ steps, conclusion }: Passport) {
  const wrong = steps.filter(({ standing }) => standing === 'wrong').map(({ number }) => String(number));
  const counts = STANDINGS.map((standing) => ({
    standing,
    n: steps.filter((step) => step.standing === standing).length,
  })).filter(({ n }) => n > 0);
  return html`
    <p class="verdict verdict-${CLASSES[conclusion]}" role="status" data-testid="passport-verdict" data-conclusion=${conclusion} data-wrong=${wrong.join(' ')}>
      <span aria-hidden="true">${MARKS[CONCLUSIONS[conclusion]]}</span>
      ${conclusion === 'wrong' ? t.passport.wrong(list(wrong), wrong.length) : t.passport.concluded[conclusion]}
    </p>
    <ul class="standings">
      ${counts.map(({ standing, n }) => html`<li class="standing-${standing}"><b class="num">${count(n)}</b> ${t.passport.standing[standing]}</li>`)}
    </ul>
  `;
}

function row(report: PassportStep, passport: Passport, commit: number | undefined) {
  const { number, step, standing, detail, because } = report;
  const name = t.passport.steps[step];
  const cause = passport.steps.find((other) => other.number === because);
  return html`
    <li class="passport-step standing-${standing}" data-testid="passport-step" data-step=${step} data-number=${number} data-standing=${standing}>
      <span class="check-mark" aria-hidden="true">${MARKS[standing]}</span>
      <div>
        <h3 class="passport-title">${t.passport.step(number, name)} <span class="standing">${t.passport.standing[standing]}</span></h3>
        <p class="note check-detail">
          ${cause ? t.passport.because(cause.number, t.passport.steps[cause.step]) : finding(detail)}
        </p>
        ${
          standing === 'notYet' && report.artefacts.length === 0
            ? nothing
            : html`<details data-testid="evidence">
                <summary>${t.passport.evidence} <span class="unseen">${t.passport.evidenceOf(name)}</span></summary>
                ${evidence(report, commit)}
              </details>`
        }
      </div>
    </li>
  `;
}

/** Which network a passport is of, and under which keys its proofs are checked. */
function networkFacts({ network, isKnownNetwork, genesis, verifyingKeys }: Passport) {
  return html`
    <div>
      <dt>${t.passport.network}</dt>
      <dd data-testid="passport-network" data-known=${isKnownNetwork}>${network === undefined ? nothing : html`<bdi>${legible(network.slice(0, LONGEST_NAME))}</bdi>`} ${isKnownNetwork ? nothing : html`<strong>${t.passport.unknownNetwork}</strong>`} <sd-copyable .value=${genesis} .label=${t.passport.genesis} short></sd-copyable></dd>
    </div>
    ${verifyingKeys === undefined ? nothing : html`<div><dt>${t.passport.keys}</dt><dd><sd-copyable .value=${verifyingKeys} .label=${t.passport.keys} short></sd-copyable></dd></div>`}
  `;
}
