// The box that shows a problem, with the button that tries again.

import { html, nothing } from 'lit';
import { shortened } from './copyable';
import { legible } from './legible';
import { type Problem, translated } from './problem';
import { View } from './view';
import { engineWords, language, t, textOf } from './words';
import { fromTable } from './words/findings';

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

/** What the client or a miner said: in the language of the page where there are words for it; else in English, and marked so where the page does not speak it. */
export function inEnglish(text: string, whole = true) {
  if (language() === 'en') return whole ? sentence(text) : marked(text);
  const known = saidOtherwise(text);
  if (known !== undefined) return whole ? sentence(known) : marked(known);
  const started = text.charAt(0).toUpperCase() + text.slice(1);
  return html`<span lang="en">${marked(whole && !/[.!?]$/.test(started) ? `${started}.` : text)}</span>`;
}

/** What the engine found, with its long identifiers shortened: they stand in full in the evidence. */
export function finding(said: string) {
  const text = legible(said);
  const known = saidOtherwise(text);
  return (known ?? text)
    .split(/\b([0-9A-Za-z]{40,})\b/)
    .map((part, index) =>
      index % 2 === 1
        ? html`<code title=${part}>${shortened(part)}</code>`
        : known === undefined
          ? inEnglish(part, false)
          : part,
    );
}

/** A text of the engine in words of the page; undefined where it has none, or speaks English itself. */
function saidOtherwise(text: string): string | undefined {
  const table = engineWords()?.findings;
  return table && fromTable(text, table);
}

function marked(text: string) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
