// The box that shows a problem, with the button that tries again.

import { html, nothing } from 'lit';
import { type Problem, translated } from './problem';
import { View } from './view';
import { language, t, textOf } from './words';

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
        <p class="problem-what">${textOf(problem.what)}</p>
        ${this.reason(problem)}
        ${
          this.retry
            ? html`<button class="quiet" type="button" @click=${this.retry}>${this.label ?? t.common.tryAgain}</button>`
            : nothing
        }
      </div>
    `;
  }

  /** Why, and what to do next: in the language of the page as far as there are words for it, and as it was said. */
  private reason(problem: Problem) {
    const known = translated(problem);
    const why = textOf(problem.why);
    const next = known?.next ?? (problem.next === undefined ? undefined : textOf(problem.next));
    const english = problem.foreign && !(known?.next && next === known.next);
    return html`
      <p>${reasonOf(problem)}</p>
      ${next ? html`<p class="problem-next">${english ? inEnglish(next) : sentence(next)}</p>` : nothing}
      ${known ? html`<p class="note problem-said">${t.common.engineSays} ${inEnglish(why)}</p>` : nothing}
    `;
  }
}
customElements.define('sd-problem', ProblemBox);

/** Why, on a line of its own. */
export function reasonOf(problem: Problem) {
  const known = translated(problem);
  const why = textOf(problem.why);
  return known ? sentence(known.why) : problem.foreign ? inEnglish(why) : sentence(why);
}

/** A sentence that begins and ends as one; what stands between backticks is a command or a name. */
export function sentence(text: string) {
  const started = text.charAt(0).toUpperCase() + text.slice(1);
  const ended = /[.!?。！？]$/.test(started) ? started : `${started}${language() === 'zh' ? '。' : '.'}`;
  return marked(ended);
}

/** What the client or a miner said: it speaks English, and is marked so where the page does not. */
export function inEnglish(text: string, whole = true) {
  if (language() === 'en') return whole ? sentence(text) : marked(text);
  const started = text.charAt(0).toUpperCase() + text.slice(1);
  return html`<span lang="en">${marked(whole && !/[.!?]$/.test(started) ? `${started}.` : text)}</span>`;
}

function marked(text: string) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
