// Why a sector or a deal is not done yet, and when it will be, as the daemon explains it to its operator.

import { html, nothing } from 'lit';
import type { Explanation } from 'sealdrop-client';
import { causeWords, TROUBLE } from './explanation';
import { type Heard, operator } from './operator-state';
import { roughly, said } from './operator-view';
import { o } from './words/operator';

export function explanation({ value, at = 0, problem }: Heard<Explanation>) {
  if (!value) return problem ? nothing : html`<p class="wait">${o.asking}</p>`;
  const trouble = value.because.some(({ code }) => TROUBLE.has(code));
  return html`
    <div class="why ${trouble ? 'why-trouble' : ''}" data-testid="why" data-code=${value.because[0]?.code ?? nothing}>
      <p class="why-when">
        <strong>${when(value, Math.max(0, operator.here - at))}</strong>
        ${value.eta ? html`<span class="note">${o.why.goingBy(said(value.eta.basis, false))}</span>` : nothing}
      </p>
      ${
        value.because.length > 0
          ? html`<ul>${value.because.map((cause) => html`<li data-testid="cause" data-code=${cause.code}>${causeWords(cause)}</li>`)}</ul>`
          : nothing
      }
      <p class="note">${said(value.next)}</p>
    </div>
  `;
}

function when({ done, eta }: Explanation, age: number): string {
  if (done) return o.why.done;
  if (!eta) return o.why.noEstimate;
  const left = eta.expectedMs - age;
  return left < 5_000 ? o.why.anyMoment : o.why.in(roughly(left));
}
