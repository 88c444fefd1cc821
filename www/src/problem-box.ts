// The box that shows a problem, with the button that tries again.

import { html, nothing } from 'lit';
import type { Problem } from './problem';
import { View } from './view';

export class ProblemBox extends View {
  static override properties = {
    problem: { attribute: false },
    retry: { attribute: false },
    label: {},
    calm: { type: Boolean },
  };
  declare problem: Problem | undefined;
  declare retry: (() => void) | undefined;
  declare label: string | undefined;
  /** Whether it is being put right already. */
  declare calm: boolean;

  override render() {
    const { problem } = this;
    if (!problem) return nothing;
    return html`
      <div class="problem ${this.calm ? 'problem-calm' : ''}" role=${this.calm ? 'status' : 'alert'} data-testid="problem" data-code=${problem.code ?? ''}>
        <p class="problem-what">${problem.what}</p>
        <p>${sentence(problem.why)}</p>
        ${problem.next ? html`<p class="problem-next">${sentence(problem.next)}</p>` : nothing}
        ${
          this.retry
            ? html`<button class="quiet" type="button" @click=${this.retry}>${this.label ?? 'Try again'}</button>`
            : nothing
        }
      </div>
    `;
  }
}
customElements.define('sd-problem', ProblemBox);

/** A sentence that begins and ends as one; what stands between backticks is a command or a name. */
export function sentence(text: string) {
  const started = text.charAt(0).toUpperCase() + text.slice(1);
  const ended = /[.!?]$/.test(started) ? started : `${started}.`;
  return ended.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
